/** The last act: the active director loses its power while connections are open, and comes back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Text, text, us } from '../../src/base/index.ts';
import { type Load, now, startLoad } from '../../src/lab/index.ts';
import { holds, type Scene, served, until, VIP, WEBS } from './scene.ts';
import { Broken, secondsOf } from './story.ts';

const CONNECTIONS = 64;
const PAUSE_MS = 50;
/** Three intervals of 1 s, the skew of priority 96 (0.625 s), and what a busy machine may be late. Milliseconds. */
const LONGEST_GAP = 4200;
const TAKEOVER_MS = 20_000;
/** Holdfast starts, which takes a busy machine long, and preempts. */
const RETURN_MS = 45_000;
/** A kept connection asks again after 0.2 s, then twice as long each time: 6.2 s, or 12.6 s where that was just too early. */
const PROVEN_MS = 16_000;

/** Resolves with the last line. */
export async function powerCutUnderLoad(scene: Scene): Promise<Text> {
  const { lab, teller, probe } = scene;
  const load = await startLoad(lab.host('client'), {
    address: VIP,
    port: 80,
    connections: CONNECTIONS,
    pauseMs: PAUSE_MS,
  });
  try {
    teller.say(
      text(
        `the client keeps ${CONNECTIONS} connections open and asks on all of them`,
        `客户端另外保持 ${CONNECTIONS} 个连接，并在每个连接上持续访问`,
      ),
    );
    await sleep(500);
    const cut = now();
    teller.say(text('POWER CUT at ha1, without a word to anybody', 'ha1 突然断电，没有任何通知'));
    await lab.host('ha1').powerCut();
    await until(() => holds(lab, 'ha2'), TAKEOVER_MS, text(`ha2 does not take ${VIP}`, `ha2 没有接管 ${VIP}`));
    const taken = await probe.answered({ timeoutMs: TAKEOVER_MS });
    teller.say(
      text(
        'ha2 is MASTER: it heard no advert of ha1 for 3 intervals of 1 s and\nits skew, (256 - 96) / 256 s = 0.625 s',
        'ha2 成为主机（MASTER）：在 3 个 1 秒的间隔加上偏移时间\n(256 - 96) / 256 = 0.625 秒内没有收到 ha1 的通告',
      ),
      taken?.at,
    );
    await proven(load, now());
    await sleep(1500);
    const outage = probe.outage(cut);
    const gap = outage?.length ?? us(0);
    teller.picture(probe.answers, cut - 500_000, (outage?.to ?? cut) + 1_500_000, [
      ['web1', text('web1', 'web1')],
      ['web2', text('web2', 'web2')],
    ]);
    teller.note(
      text(
        `new connections were without an answer for ${secondsOf(gap)} s`,
        `新建连接有 ${secondsOf(gap)} 秒没有得到应答`,
      ),
    );
    const broken = load.state.broken;
    teller.note(
      text(
        `of ${CONNECTIONS} kept connections, ${broken} broke; the longest waited ${secondsOf(load.state.longest)} s,\nbecause TCP asks again after 0.2 s, then twice as long each time`,
        `${CONNECTIONS} 个保持的连接中断了 ${broken} 个；最长等待 ${secondsOf(load.state.longest)} 秒，\n因为 TCP 在 0.2 秒后重发，此后间隔每次加倍`,
      ),
    );
    if (gap / 1000 > LONGEST_GAP)
      throw new Broken(
        text(
          `the gap should be at most ${LONGEST_GAP / 1000} s, and was ${secondsOf(gap)} s`,
          `中断时间应不超过 ${LONGEST_GAP / 1000} 秒，实际为 ${secondsOf(gap)} 秒`,
        ),
      );
    await comesBack(scene, load);
    const all = load.state.broken;
    return text(
      `✓ The address moved twice and is on one host. Longest gap ${secondsOf(gap)} s;\n  ${all} of ${CONNECTIONS} connections broke.`,
      `✓ 地址移动了两次，现在只在一台主机上。最长中断 ${secondsOf(gap)} 秒；\n  ${CONNECTIONS} 个连接中断了 ${all} 个。`,
    );
  } finally {
    await load.stop();
  }
}

async function comesBack({ lab, teller, probe }: Scene, load: Load): Promise<void> {
  const back = now();
  const before = load.state.broken;
  teller.line();
  teller.say(text('ha1 has power again, and starts', 'ha1 恢复供电并启动'));
  await lab.host('ha1').powerOn();
  await until(
    async () => (await holds(lab, 'ha1')) && !(await holds(lab, 'ha2')),
    RETURN_MS,
    text(`${VIP} does not go back to ha1 alone`, `${VIP} 没有只回到 ha1`),
  );
  teller.say(
    text(
      'ha1 is MASTER again: its priority is higher (100 > 96), and the file\ndoes not say nopreempt',
      'ha1 重新成为主机（MASTER）：它的优先级较高（100 > 96），\n配置中也没有 nopreempt',
    ),
  );
  await proven(load, now());
  await until(() => served(probe, WEBS), TAKEOVER_MS, text('web1 and web2 do not answer', 'web1 和 web2 没有应答'));
  const longest = probe.outage(back)?.length ?? us(0);
  const broken = load.state.broken - before;
  teller.note(
    text(
      `new connections waited at most ${secondsOf(longest)} s for an answer; ${broken} kept ones broke`,
      `新建连接等待应答最长 ${secondsOf(longest)} 秒；保持的连接中断了 ${broken} 个`,
    ),
  );
}

async function proven(load: Load, since: ReturnType<typeof now>): Promise<void> {
  if (await load.provenSince(since, PROVEN_MS)) return;
  throw new Broken(text('a kept connection hangs', '有保持的连接停滞'));
}
