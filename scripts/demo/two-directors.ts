/**
 * The main job: two directors share one address, and the master loses its power. Everything is real but the hardware:
 * hosts of namespaces, nginx, the configuration file of examples/seed.conf as it is, and a client that asks all the time.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cellWidth, type Language, type Microseconds, type Text, text, us } from '../../src/base/index.ts';
import {
  type Answer,
  Lab,
  type LabDefinition,
  LabError,
  now,
  offer,
  type Probe,
  startProbe,
} from '../../src/lab/index.ts';

export type DemoOptions = {
  readonly language: Language;
  /** Keep the lab running behind the story, until Ctrl-C. */
  readonly keep: boolean;
  readonly write: (words: string) => void;
};

const root = join(import.meta.dirname, '../..');
const holdfast = [join(root, 'bin/holdfast'), 'keepalived', '-n', '-l', '-f', '/etc/keepalived/keepalived.conf'];
const VIP = '192.168.1.99';
const ASK_MS = 10;
/** Three intervals of 1 s, the skew of priority 96 (0.625 s), and what a busy machine may be late. Milliseconds. */
const LONGEST_GAP = 4200;
const TAKEOVER_MS = 8000;
/** Columns of the picture, each this many milliseconds. */
const COLUMN_MS = 100;

class Broken extends Error {
  readonly text: Text;
  constructor(t: Text) {
    super(t.en);
    this.text = t;
  }
}

/** Resolves with the exit code: 0 if the story came true. */
export async function twoDirectors(o: DemoOptions): Promise<number> {
  let lab: Lab | undefined;
  try {
    const story = new Story(o);
    story.opening();
    lab = await Lab.start(withHoldfast());
    await story.tell(lab);
    if (o.keep) await story.playOn(lab);
    return 0;
  } catch (e) {
    if (!(e instanceof Broken || e instanceof LabError)) throw e;
    o.write(`\n✗ ${e.text[o.language]}\n`);
    return 1;
  } finally {
    await lab?.stop();
  }
}

/** The example's hosts; the directors start Holdfast whenever they get power. */
function withHoldfast(): LabDefinition {
  const example = JSON.parse(readFileSync(join(root, 'examples/two-directors.lab.json'), 'utf8')) as LabDefinition;
  const hosts = { ...example.hosts };
  for (const name of ['ha1', 'ha2']) hosts[name] = { ...hosts[name], start: [...(hosts[name]?.start ?? []), holdfast] };
  return { ...example, hosts };
}

class Story {
  readonly #o: DemoOptions;
  #began = now();

  constructor(o: DemoOptions) {
    this.#o = o;
  }

  opening(): void {
    this.#line(text('Holdfast: two directors, one address', 'Holdfast：两台调度器，一个地址'));
    this.#line();
    const rows: readonly (readonly [string, string, Text])[] = [
      ['ha1', '192.168.1.21', text('director, priority 100', '调度器，优先级 100')],
      [
        'ha2',
        '192.168.1.22',
        text('director, priority 96: examples/seed.conf as it is', '调度器，优先级 96：原样使用 examples/seed.conf'),
      ],
      ['web1', '192.168.1.11', text('real server, nginx', '真实服务器，nginx')],
      ['web2', '192.168.1.12', text('real server, nginx', '真实服务器，nginx')],
      [
        'client',
        '192.168.1.100',
        text(`asks http://${VIP}/ every ${ASK_MS} ms`, `每 ${ASK_MS} 毫秒访问 http://${VIP}/`),
      ],
    ];
    for (const [name, address, what] of rows)
      this.#line(
        text(`  ${pad(name, 8)}${pad(address, 16)}${what.en}`, `  ${pad(name, 8)}${pad(address, 16)}${what.zh}`),
      );
    this.#line();
    this.#line(
      text(
        `  Until virtual servers run, the director that holds ${VIP} answers\n  with its own page (the sorry server of the configuration), not web1 or web2.`,
        `  虚拟服务器功能尚未运行：持有 ${VIP} 的调度器用自己的页面\n  （配置中的 sorry_server）应答，而不是 web1 或 web2。`,
      ),
    );
    this.#line();
  }

  async tell(lab: Lab): Promise<void> {
    this.#began = now();
    this.#say(text('power on', '全部通电'));
    await this.#webServers(lab);
    const probe = await startProbe(
      lab.host('client'),
      { http: `http://${VIP}/` },
      { intervalMs: ASK_MS, patienceMs: 1000 },
    );
    await this.#answered(probe, 'ha1');
    this.#say(
      text(
        'ha1 is MASTER: nobody sent adverts, and of the two it has the higher\npriority (100 > 96)',
        'ha1 成为主机（MASTER）：没有收到任何通告，而且它的优先级较高\n（100 > 96）',
      ),
    );
    await sleep(1500);

    const cut = now();
    this.#say(text('POWER CUT at ha1, without a word to anybody', 'ha1 突然断电，没有任何通知'));
    await lab.host('ha1').powerCut();
    const taken = await this.#answered(probe, 'ha2');
    this.#say(
      text(
        'ha2 is MASTER: it heard no advert of ha1 for 3 intervals of 1 s and\nits skew, (256 - 96) / 256 s = 0.625 s',
        'ha2 成为主机（MASTER）：在 3 个 1 秒的间隔加上偏移时间\n(256 - 96) / 256 = 0.625 秒内没有收到 ha1 的通告',
      ),
      taken.at,
    );
    await sleep(1000);
    const gap = probe.outage(cut)?.length ?? us(0);
    this.#picture(probe.answers, us(cut - 500_000), us(cut + gap + 1_000_000));
    this.#note(
      text(`the client was without an answer for ${secondsOf(gap)} s`, `客户端有 ${secondsOf(gap)} 秒没有得到应答`),
    );
    if (gap / 1000 > LONGEST_GAP)
      throw new Broken(
        text(
          `the gap should be at most ${LONGEST_GAP / 1000} s, and was ${secondsOf(gap)} s`,
          `中断时间应不超过 ${LONGEST_GAP / 1000} 秒，实际为 ${secondsOf(gap)} 秒`,
        ),
      );

    const back = now();
    this.#say(text('ha1 has power again, and starts', 'ha1 恢复供电并启动'));
    await lab.host('ha1').powerOn();
    const returned = await this.#answered(probe, 'ha1');
    this.#say(
      text(
        'ha1 is MASTER again: its priority is higher (100 > 96), and the file\ndoes not say nopreempt',
        'ha1 重新成为主机（MASTER）：它的优先级较高（100 > 96），\n配置中也没有 nopreempt',
      ),
      returned.at,
    );
    await sleep(1000);
    const second = probe.outage(back)?.length ?? us(0);
    this.#note(
      text(
        `the client waited at most ${secondsOf(second)} s for an answer`,
        `客户端等待应答最长 ${secondsOf(second)} 秒`,
      ),
    );
    await this.#soleHolder(lab, 'ha1', 'ha2');
    this.#line();
    this.#line(
      text(
        `✓ The address moved twice, it is on one host, and the longest gap was ${secondsOf(gap)} s.`,
        `✓ 地址移动了两次，现在只在一台主机上，最长中断 ${secondsOf(gap)} 秒。`,
      ),
    );
    await probe.stop();
  }

  /** Until Ctrl-C, or `npm run lab -- down`. */
  async playOn(lab: Lab): Promise<void> {
    const offered = await offer(lab);
    this.#line();
    this.#line(text('Play on, in another terminal of this machine:', '继续试验，请在本机的另一个终端输入：'));
    for (const command of ['power-cut ha1', 'power-on ha1', 'shell client', 'help'])
      this.#line(text(`  npm run lab -- ${command}`, `  npm run lab -- ${command}`));
    this.#line(text('Ctrl-C ends the lab; nothing is left behind.', '按 Ctrl-C 结束实验环境，不会留下任何东西。'));
    const interrupted = new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
    });
    await Promise.race([interrupted, offered.ended]);
    offered.close();
  }

  async #webServers(lab: Lab): Promise<void> {
    for (const [name, address] of [
      ['web1', '192.168.1.11'],
      ['web2', '192.168.1.12'],
    ] as const) {
      const probe = await startProbe(lab.host('client'), { http: `http://${address}/` }, { intervalMs: ASK_MS });
      const answer = await probe.answered({ by: name, timeoutMs: TAKEOVER_MS });
      await probe.stop();
      if (!answer) throw new Broken(text(`${name} does not serve its page`, `${name} 没有提供页面`));
    }
    this.#say(text('web1 and web2 serve their pages', 'web1 和 web2 已提供页面'));
  }

  async #answered(probe: Probe, by: string): Promise<Answer> {
    const answer = await probe.answered({ by, timeoutMs: TAKEOVER_MS });
    if (answer) return answer;
    throw new Broken(
      text(
        `within ${TAKEOVER_MS / 1000} s, ${by} did not answer at ${VIP}`,
        `${by} 在 ${TAKEOVER_MS / 1000} 秒内没有在 ${VIP} 应答`,
      ),
    );
  }

  async #soleHolder(lab: Lab, holder: string, other: string): Promise<void> {
    for (const [name, expected] of [
      [holder, true],
      [other, false],
    ] as const) {
      const { stdout } = await lab.host(name).run(['ip', '-o', 'address', 'show', 'to', VIP]);
      if (stdout.includes(VIP) !== expected)
        throw new Broken(
          expected
            ? text(`${name} should hold ${VIP}, and does not`, `${name} 应持有 ${VIP}，实际没有`)
            : text(`${name} should not hold ${VIP}, and does`, `${name} 不应持有 ${VIP}，实际持有`),
        );
    }
  }

  /** One character for each tenth of a second: who answered, or that nobody did. */
  #picture(answers: readonly Answer[], from: Microseconds, to: Microseconds): void {
    const good = answers.filter((a) => a.error === undefined && a.at >= from && a.at < to);
    let drawn = '';
    for (let t: number = from; t < to; t += COLUMN_MS * 1000) {
      const by = good.find((a) => a.at >= t && a.at < t + COLUMN_MS * 1000)?.by;
      drawn += by === undefined ? '·' : by.slice(-1);
    }
    this.#line();
    this.#line(text(`         ${drawn}`, `         ${drawn}`));
    this.#line(
      text(
        '         one character each 0.1 s: 1 ha1 answered, 2 ha2 answered, · nobody',
        '         每个字符 0.1 秒：1 表示 ha1 应答，2 表示 ha2 应答，· 表示无应答',
      ),
    );
    this.#line();
  }

  /** With the time of the story in front; further lines are indented under the first. */
  #say(t: Text, at = now()): void {
    const time = `${secondsOf(us(at - this.#began), 1)} s`.padStart(7);
    const words = t[this.#o.language].replaceAll('\n', `\n${' '.repeat(9)}`);
    this.#o.write(`${time}  ${words}\n`);
  }
  #note(t: Text): void {
    this.#o.write(`${' '.repeat(9)}${t[this.#o.language]}\n`);
  }
  #line(t: Text = text('', '')): void {
    this.#o.write(`${t[this.#o.language]}\n`);
  }
}

const secondsOf = (t: Microseconds, digits = 2): string => (t / 1_000_000).toFixed(digits);
const pad = (s: string, width: number): string => s + ' '.repeat(Math.max(0, width - cellWidth(s)));
