/**
 * Everything that this benchmark does to a pair, and what it measures of it. Every fault ends with the pair steady again.
 *
 * `heal, X side` is the end of a partition of 5 s, the client having been on that side of it; `reached` is when its
 * questions reach the winner and no other, `two hosts` for how long both still held the address.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Text, text } from '../../src/base/index.ts';
import { now } from '../../src/lab/index.ts';
import { BACKUP, MASTER, type Pair, VIP } from '../../test/interop/pair.ts';
import { type DaemonProcesses, daemonProcesses } from '../../test/interop/processes.ts';
import { LINK } from '../../test/interop/rig.ts';

/** Name of a figure -> milliseconds. */
export type Figures = Readonly<Record<string, number>>;
export type Fault = {
  readonly name: string;
  /** What the table calls each figure. */
  readonly figures: Readonly<Record<string, Text>>;
  /** About how long one run takes, in seconds, for the time that is left: a + b x advertisement interval. */
  readonly lasts: readonly [number, number];
  /** Whether it must wait for the master's last announcements (see Pair.announced). */
  readonly afterAnnouncements?: boolean;
  run(pair: Pair): Promise<Figures>;
};

const PARTITION_MS = 5000;

/** After the master is back: when everything is steady, what its return cost the client. */
async function failback(pair: Pair, since: ReturnType<typeof now>): Promise<number> {
  await pair.steady();
  return pair.outage(since);
}

const power: Fault = {
  name: 'power',
  figures: { outage: text('power cut', '断电'), failback: text('failback (preemption)', '切回（抢占）') },
  lasts: [1.5, 9],
  async run(pair) {
    const since = now();
    await pair.rig.host(MASTER).powerCut();
    await pair.rig.holder(VIP, BACKUP, pair.takeoverMs);
    await pair.answeredBy(BACKUP);
    const outage = pair.outage(since);
    const back = await pair.restartMaster();
    return { outage, failback: await failback(pair, back) };
  },
};

const unplugged: Fault = {
  name: 'unplugged',
  figures: {
    outage: text('link cut: no carrier', '断链：无载波'),
    failback: text('failback after carrier is back', '载波恢复后切回'),
  },
  lasts: [1, 9],
  async run(pair) {
    const since = now();
    await pair.rig.lab.link(MASTER, LINK).cut({ carrier: true });
    await pair.answeredBy(BACKUP);
    const outage = pair.outage(since);
    const back = await pair.rig.lab.link(MASTER, LINK).heal();
    return { outage, failback: await failback(pair, back) };
  },
};

/** What the client and the two tables of addresses show after a partition healed. */
async function healed(pair: Pair, since: ReturnType<typeof now>): Promise<{ reached: number; both: number }> {
  await pair.steady();
  return { reached: pair.reached(since), both: pair.overlap(since) };
}

const silent: Fault = {
  name: 'silent',
  figures: {
    outage: text('link cut: frames vanish', '断链：帧丢失'),
    reached: text('heal, backup side: reached', '愈合，备机侧：到达'),
    both: text('heal, backup side: two hosts', '愈合，备机侧：双主'),
  },
  afterAnnouncements: true,
  lasts: [12, 2],
  async run(pair) {
    const since = now();
    await pair.rig.lab.link(MASTER, LINK).cut();
    await pair.answeredBy(BACKUP);
    const outage = pair.outage(since);
    await sleep(PARTITION_MS - (now() - since) / 1000);
    const from = now();
    await pair.rig.lab.link(MASTER, LINK).heal();
    return { outage, ...(await healed(pair, from)) };
  },
};

const partition: Fault = {
  name: 'partition',
  figures: {
    reached: text('heal, both sides: reached', '愈合，双侧：到达'),
    both: text('heal, both sides: two hosts', '愈合，双侧：双主'),
  },
  afterAnnouncements: true,
  lasts: [12, 3],
  async run(pair) {
    await pair.rig.separate(MASTER, BACKUP);
    await sleep(PARTITION_MS);
    return healed(pair, await pair.rig.rejoin(MASTER, BACKUP));
  },
};

const isolated: Fault = {
  name: 'isolated',
  figures: {
    reached: text('heal, master side: reached', '愈合，主机侧：到达'),
    both: text('heal, master side: two hosts', '愈合，主机侧：双主'),
  },
  afterAnnouncements: true,
  lasts: [12, 3],
  async run(pair) {
    await pair.rig.lab.link(BACKUP, LINK).cut();
    await sleep(PARTITION_MS);
    const from = now();
    await pair.rig.lab.link(BACKUP, LINK).heal();
    return healed(pair, from);
  },
};

const stopped: Fault = {
  name: 'stopped',
  figures: { outage: text('clean stop (SIGTERM)', '正常停止（SIGTERM）') },
  lasts: [1, 7],
  async run(pair) {
    const since = now();
    await pair.rig.daemon(MASTER).kill('SIGTERM');
    await pair.answeredBy(BACKUP);
    const outage = pair.outage(since);
    await pair.rig.daemon(MASTER).exited;
    pair.rig.startDaemon(MASTER);
    await pair.steady();
    return { outage };
  },
};

/**
 * SIGKILL to the process that speaks VRRP, to the one above it, or to both at the same moment. Seen for longer than a
 * takeover lasts: the client's longest silence, and for how long two hosts held the address. Where nobody is left to take
 * it away, it is watched for 7 s: what lasts as long as that from the takeover on would have lasted for ever.
 */
const killed = (
  name: string,
  en: string,
  zh: string,
  choose: (d: DaemonProcesses) => readonly number[],
  leastMs = 0,
): Fault => ({
  name,
  figures: {
    outage: text(`SIGKILL: ${en}`, `SIGKILL：${zh}`),
    both: text(`SIGKILL: ${en}, two hosts`, `SIGKILL：${zh}，双主`),
  },
  lasts: [4 + leastMs / 1000, 12],
  async run(pair) {
    const processes = daemonProcesses(pair.rig.daemon(MASTER).pid() as number);
    const since = now();
    for (const pid of choose(processes)) process.kill(pid, 'SIGKILL');
    await sleep(Math.max(leastMs, 5 * pair.interval + 1500));
    const figures = { outage: pair.outage(since), both: pair.overlap(since) };
    if (!pair.rig.daemon(MASTER).running) await pair.restartMaster();
    await pair.steady();
    return figures;
  },
});

export const faults: readonly Fault[] = [
  power,
  unplugged,
  silent,
  stopped,
  killed('worker', 'VRRP process', 'VRRP 进程', (d) => [d.worker]),
  killed('parent', 'parent', '父进程', (d) => [d.parent]),
  killed('all', 'both', '两者', (d) => [d.parent, d.worker], 7000),
  partition,
  isolated,
];
