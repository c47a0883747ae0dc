/**
 * A disk on two hosts: a file system on it, a program that writes records and remembers which were acknowledged, a power cut
 * of the primary, promotion of the other, and the old primary comes back. Everything is real but the hardware.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorDocument, VolumeStatus } from '../../src/api/index.ts';
import { type Text, text } from '../../src/base/index.ts';
import { type Host, LabError, MirrorPair, now, type PairHost, type Program } from '../../src/lab/index.ts';
import { playOn } from './play-on.ts';
import { root, until } from './scene.ts';
import { Broken, type DemoOptions, pad, secondsOf, Teller } from './story.ts';

const MIB = 1 << 20;
const DISK = 640 * MIB;
/** What ha2 writes alone, beside the records, so that there is something to resynchronise. */
const ALONE_MIB = 48;
const FILE = '/srv/data/records';
const RECORD = 64;
const STEP_MS = 60_000;
const SECTIONS = `  net { timeout 20; ping-int 2; ping-timeout 5; connect-int 2; }
  disk { al-extents 67; c-plan-ahead 0; resync-rate 80M; }`;

export async function mirrorDemo(o: DemoOptions): Promise<number> {
  const lacks = whatIsMissing();
  if (lacks) {
    o.write(`✗ ${lacks[o.language]}\n`);
    return 2;
  }
  let pair: MirrorPair | undefined;
  try {
    const teller = new Teller(o);
    opening(teller);
    pair = await MirrorPair.start({
      name: 'data',
      size: DISK,
      sections: SECTIONS,
      holdfast: join(root, 'bin/holdfast'),
      folder: join(root, 'build'),
    });
    teller.begin();
    const story = new Story(pair, teller, o.language);
    await story.firstSync();
    const promised = await story.writeUntilPowerCut();
    const [kept, more] = await story.promoteOther(promised);
    const missed = await story.comesBack();
    teller.line();
    teller.line(
      text(
        `✓ Of ${kept} acknowledged records none was lost. Not the whole disk was copied\n  to ha1, but ${missed}: what it missed, and the parts that it may have been\n  writing to when its power went (the activity log).`,
        `✓ 已确认的 ${kept} 条记录一条未丢。恢复 ha1 时没有复制整个磁盘，只复制了 ${missed}：\n  它错过的数据，以及断电时可能正在写入的区域（活动日志）。`,
      ),
    );
    if (more > 0)
      teller.line(
        text(
          `  (${more} more were on ha2 already, and ha1 had no time left to acknowledge them.)`,
          `  （另有 ${more} 条已写到 ha2，但 ha1 还没来得及确认。）`,
        ),
      );
    if (o.keep)
      await playOn(pair.lab, teller, [
        `run ha2 ${join(root, 'bin/holdfast')} mirror status`,
        `run ha1 ${join(root, 'bin/holdfast')} mirror events`,
        'run ha2 tail -n 1 /srv/data/records',
        'run ha2 pkill -KILL -f "mirror run data"',
        'power-cut ha2',
        `run ha1 ${join(root, 'bin/holdfast')} mirror primary data`,
        'run ha1 mount /dev/holdfast/data /srv/data',
        'help',
      ]);
    return 0;
  } catch (e) {
    if (!(e instanceof Broken || e instanceof LabError)) throw e;
    o.write(`\n✗ ${e.text[o.language]}\n`);
    return 1;
  } finally {
    await pair?.stop();
  }
}
function whatIsMissing(): Text | undefined {
  if (process.getuid?.() !== 0 || !existsSync('/dev/loop-control'))
    return text(
      'this demo makes block devices: it takes root, and loop devices',
      '本演示会建立块设备：需要 root 和 loop 设备',
    );
  return undefined;
}
function opening(t: Teller): void {
  t.line(text('Holdfast: one disk on two hosts', 'Holdfast：两台主机上的同一个磁盘'));
  t.line();
  const disk = text(`a disk of ${DISK / MIB} MiB`, `一个 ${DISK / MIB} MiB 的磁盘`);
  for (const [name, address] of [
    ['ha1', '192.168.1.11'],
    ['ha2', '192.168.1.12'],
  ] as const)
    t.line(text(`  ${pad(name, 8)}${pad(address, 16)}${disk.en}`, `  ${pad(name, 8)}${pad(address, 16)}${disk.zh}`));
  t.line(
    text(
      '  mirror data: protocol C, so a write is acknowledged when both disks have it',
      '  镜像 data：协议 C，两个磁盘都写入后才确认',
    ),
  );
  t.line();
}

class Story {
  readonly #pair: MirrorPair;
  readonly #teller: Teller;
  readonly #language: 'en' | 'zh';
  /** What the last resync copied, as its progress says. */
  #copied = '';

  constructor(pair: MirrorPair, teller: Teller, language: 'en' | 'zh') {
    this.#pair = pair;
    this.#teller = teller;
    this.#language = language;
  }
  async firstSync(): Promise<void> {
    for (const h of ['ha1', 'ha2'] as const) {
      await this.#good(this.#pair.create(h));
      await this.#good(this.#pair.up(h));
    }
    await this.#good(this.#pair.mirror('ha1', 'wait-connect', 'data', '--timeout=60'));
    this.#teller.say(
      text(
        'both are up and connected; neither knows whose data are right, so\nneither may be primary by itself',
        '两端已启动并连接；谁的数据正确尚不可知，\n因此都不会自行成为主节点',
      ),
    );
    await this.#good(this.#pair.mirror('ha1', 'primary', 'data', '--accept-data-loss=data'));
    this.#teller.say(
      text(
        'we say: ha1 is right. It is PRIMARY, and its disk is copied to ha2',
        '我们指定 ha1 的数据为准。ha1 成为主节点，磁盘复制到 ha2',
      ),
    );
    await this.#bar('ha1');
    await this.#good(this.#pair.run('ha1', ['mkfs.ext4', '-q', '/dev/holdfast/data']));
    await this.#good(this.#pair.run('ha1', ['mount', '/dev/holdfast/data', '/srv/data']));
    this.#teller.say(
      text('ext4 on /dev/holdfast/data of ha1, mounted', 'ha1 上的 /dev/holdfast/data 已建立 ext4 并挂载'),
    );
  }
  async writeUntilPowerCut(): Promise<number> {
    const began = now();
    const writer = await this.#write('ha1', 1);
    await sleep(3000);
    const cut = now();
    await this.#pair.host('ha1').powerCut();
    await writer.exited;
    const promised = last(writer);
    const rate = Math.round(promised / ((cut - began) / 1_000_000));
    this.#teller.say(
      text(
        `a program wrote records, each with fsync: ${promised} were\nacknowledged, ${rate} a second`,
        `程序逐条写入记录，每条都 fsync：已确认 ${promised} 条，每秒 ${rate} 条`,
      ),
      cut,
    );
    this.#teller.say(text('POWER CUT at ha1, in the middle of it', '写入途中，ha1 突然断电'), cut);
    if (promised < 10) throw new Broken(text('hardly anything was written', '几乎没有写入'));
    return promised;
  }
  /** How many acknowledged records are there, and how many more. */
  async promoteOther(promised: number): Promise<readonly [number, number]> {
    await until(
      async () => (await this.#volume('ha2'))?.connection === 'WFConnection',
      STEP_MS,
      text('ha2 does not notice', 'ha2 没有察觉'),
    );
    this.#teller.say(
      text(
        'ha2 hears nothing of ha1 any more. It does not promote itself: only\nwho knows that ha1 is off may say so. We know: we cut its power',
        'ha2 已听不到 ha1。它不会自行提升：只有确知 ha1 已停的人\n才能下令。我们知道：电源是我们切断的',
      ),
    );
    const began = now();
    await this.#good(this.#pair.mirror('ha2', 'primary', 'data'));
    await this.#good(this.#pair.run('ha2', ['mount', '/dev/holdfast/data', '/srv/data']));
    this.#teller.say(
      text(
        `ha2 is PRIMARY, and has the file system mounted (${secondsOf(now() - began, 1)} s)`,
        `ha2 成为主节点并已挂载文件系统（${secondsOf(now() - began, 1)} 秒）`,
      ),
    );
    const records = (await this.#good(this.#pair.run('ha2', ['cat', FILE]))).split('\n').filter((l) => l.trim() !== '');
    const wrong = records.findIndex((l, i) => Number(l) !== i + 1);
    if (records.length < promised || (wrong >= 0 && wrong < promised))
      throw new Broken(
        text(
          `${promised} records were acknowledged, and ${wrong < 0 ? records.length : wrong} are there`,
          `已确认 ${promised} 条，实际只有 ${wrong < 0 ? records.length : wrong} 条`,
        ),
      );
    this.#teller.say(
      text(`all ${promised} acknowledged records are there, in order`, `已确认的 ${promised} 条记录全部在，顺序正确`),
    );
    // A record that was cut in the middle is not counted, and is overwritten by nothing: the file goes on behind it.
    await this.#good(this.#pair.run('ha2', ['truncate', '-s', String(records.length * RECORD), FILE]));
    return [promised, records.length - promised];
  }
  /** How much ha1 had missed. */
  async comesBack(): Promise<string> {
    const count = Number((await this.#good(this.#pair.run('ha2', ['stat', '-c', '%s', FILE]))).trim()) / RECORD;
    const writer = await this.#write('ha2', count + 1);
    await this.#good(
      this.#pair.run('ha2', [
        'dd',
        'if=/dev/urandom',
        'of=/srv/data/more',
        'bs=1M',
        `count=${ALONE_MIB}`,
        'conv=fsync',
        'status=none',
      ]),
    );
    this.#teller.say(
      text(
        `the program goes on at ha2, and ${ALONE_MIB} MiB more are written there`,
        `程序在 ha2 上继续写入，另外又写了 ${ALONE_MIB} MiB`,
      ),
    );
    await this.#pair.powerOn('ha1');
    this.#teller.say(
      text(
        'ha1 has power again. It comes up as secondary, and fetches what it\nmissed, while the program writes on',
        'ha1 恢复供电，以从节点启动，并取回错过的数据；\n程序同时继续写入',
      ),
    );
    // Who looks only when the mirror is up may come too late: it can be a matter of a second.
    await Promise.all([this.#bar('ha2'), this.#good(this.#pair.up('ha1'))]);
    const v = await this.#volume('ha2');
    if (v?.disk !== 'UpToDate' || v.peerDisk !== 'UpToDate') throw new Broken(text('they are not equal', '两端不一致'));
    this.#teller.say(text('both disks are equal again', '两个磁盘重新一致'));
    writer.endInput();
    return this.#copied;
  }

  async #write(h: PairHost, first: number): Promise<Program> {
    const host: Host = this.#pair.host(h);
    const words = [process.execPath, '--disable-warning=ExperimentalWarning', WRITER, FILE, String(first)];
    const p = host.spawn(words);
    await p.line(/^\d+$/, STEP_MS);
    return p;
  }
  /** The progress of the resync, until it is over. */
  async #bar(h: PairHost): Promise<void> {
    const wait = this.#pair
      .host(h)
      .spawn([
        'env',
        `HOLDFAST_LANG=${this.#language}`,
        join(root, 'bin/holdfast'),
        'mirror',
        'wait',
        'data',
        '--timeout=120',
      ]);
    wait.onLine((l) => {
      const bar = /\[[#.]+\] [1-9].*/.exec(l.text)?.[0].replace('about ', '');
      if (bar === undefined) return;
      this.#teller.note(text(bar, bar));
      this.#copied = / (?:of|\/) ([\d.]+ \wiB)/.exec(bar)?.[1] ?? '';
    });
    const { code } = await wait.exited;
    if (code !== 0) throw new Broken(text(`the resync does not end (${code})`, `重新同步没有结束（${code}）`));
  }
  async #volume(h: PairHost): Promise<VolumeStatus | undefined> {
    const { stdout } = await this.#pair.mirror(h, 'status', '--json');
    try {
      return (JSON.parse(stdout) as MirrorDocument).mirrors[0]?.volumes[0];
    } catch {
      return undefined;
    }
  }
  async #good(ran: ReturnType<MirrorPair['run']>): Promise<string> {
    const { exit, stdout, stderr } = await ran;
    if (exit.code === 0) return stdout;
    const words = `${stdout}${stderr}`.trim();
    throw new Broken(text(words || `exit code ${exit.code}`, words || `退出码 ${exit.code}`));
  }
}
const WRITER = join(import.meta.dirname, 'writer-main.ts');
/** The last number that was printed whole. */
function last(p: Program): number {
  const line = p.lines.findLast((l) => /^\d+$/.test(l.text));
  return line === undefined ? 0 : Number(line.text);
}
