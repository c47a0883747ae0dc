/** Virtual servers and their checkers, as the supervisor tells. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LbAnswer, LbRequest } from '../../api/index.ts';
import { type Result, type Text, text, unreachable, us } from '../../base/index.ts';
import { Director, type DirectorConfig, type Guard, type PeerLink, type Plane } from '../../director/index.ts';
import type { Host, Log } from '../../host/index.ts';
import { type Addon, linuxHost, loadAddon, openNetwork, setPriority } from '../../host/linux/index.ts';
import { commonNow } from '../channel.ts';
import { enterNamespace, failureText } from '../handover/namespace.ts';
import type { FromDirector, ToDirector } from '../messages.ts';
import { Checks } from './checks.ts';
import { lbDocument } from './document.ts';
import { openPeer } from './peer.ts';
import { openPlanes } from './planes.ts';
import { takeTenure } from './tenure.ts';

type Configure = Extract<ToDirector, { kind: 'configure' }>;
/** What runs from the first configuration on. */
type Works = {
  readonly host: Host;
  readonly director: Director;
  readonly planes: readonly Plane[];
  readonly guard: Guard | undefined;
  readonly checks: Checks;
  readonly peer: PeerLink | undefined;
  config: DirectorConfig;
};
/** How often one that is second in its namespace looks whether it may begin. Milliseconds. */
const LOOK_AGAIN = 500;

export class DirectorProcess {
  readonly #send: (m: FromDirector, sent?: () => void) => void;
  readonly #end: () => void;
  #works: Works | undefined;
  /** The newest configuration, until this is the director of its namespace. */
  #pending: Configure | undefined;
  #stopped = false;
  /** Came before it was. */
  readonly #early: ToDirector[] = [];

  constructor(send: (m: FromDirector, sent?: () => void) => void, end: () => void) {
    this.#send = send;
    this.#end = end;
  }

  receive(m: ToDirector): void {
    switch (m.kind) {
      case 'configure':
        this.#configure(m);
        break;
      case 'instance':
        if (this.#works) this.#works.director.vrrpState(m.name, m.view);
        else this.#early.push(m);
        break;
      case 'bfd':
        if (this.#works) this.#works.checks.bfd(m.name, m.up);
        else this.#early.push(m);
        break;
      case 'ask':
        if (commonNow() < m.until)
          this.#send({ kind: 'answer', question: m.question, document: this.#answer(m.request) });
        break;
      case 'live':
        this.#send({ kind: 'alive' });
        break;
      case 'stop':
        this.#stop(m.keep);
        this.#send({ kind: 'stopped' }, this.#end);
        break;
      default:
        unreachable(m);
    }
  }
  /** The supervisor died: the kernel goes on as it was, for the next one to adopt. */
  abandoned(): void {
    this.#stop(true);
    this.#end();
  }

  /** The guard stands until nothing is left that it could guard. */
  #stop(keep: boolean): void {
    this.#stopped = true;
    this.#works?.peer?.close();
    this.#works?.director.stop({ keep });
    this.#works?.guard?.close({ keep });
  }

  // ---------------------------------------------------------------------------------------------- configuration

  #configure(m: Configure): void {
    if (this.#works) {
      this.#works.config = m.config;
      this.#works.checks.use(m.scripts);
      this.#works.director.reload(m.config);
      return;
    }
    const first = this.#pending === undefined;
    this.#pending = m;
    if (!first) return;
    const addon = this.#enter(m);
    if (addon.ok) void this.#take(addon.value);
    else this.#fail(addon.error);
  }
  #fail(why: Text): void {
    this.#log.write({ level: 'error', code: 'director.host', text: why });
    process.exitCode = 1;
    setImmediate(() => process.exit(1));
  }
  /** Into the network namespace, where there is one to go to. */
  #enter(m: Configure): Result<Addon, Text> {
    if (m.umask !== undefined) process.umask(m.umask);
    if (m.process.name !== undefined) process.title = m.process.name;
    const addon = loadAddon();
    if (!addon.ok) return { ok: false, error: failureText(addon.error) };
    if (m.namespace !== undefined) {
      const entered = enterNamespace(addon.value, m.namespace);
      if (!entered.ok) return { ok: false, error: failureText(entered.error) };
    }
    return addon;
  }
  /** Begins when no other director is in this namespace, and says so once where one is. */
  async #take(addon: Addon): Promise<void> {
    for (let told = false; !this.#stopped; await sleep(LOOK_AGAIN)) {
      const tenure = await takeTenure(addon);
      if (tenure.is !== 'taken') {
        if (tenure.is === 'foreign') this.#sayForeign(tenure.uid);
        this.#start(addon);
        return;
      }
      if (!told) this.#sayTaken(tenure.pid);
      told = true;
    }
  }
  #sayTaken(pid: number): void {
    const who = pid === 0 ? '' : ` (${pid})`;
    const words = text(
      `another director${who} runs in this network namespace: virtual servers wait until it ends; stop one of the two`,
      `本网络命名空间中已有另一个负载均衡进程${who}：虚拟服务器将等待其结束；请停止其中一个`,
    );
    this.#log.write({ level: 'error', code: 'director.second', text: words });
  }
  #sayForeign(uid: number): void {
    const words = text(
      `user ${uid} holds the name by which directors of a network namespace know of each other: a second one would not be noticed`,
      `用户 ${uid} 占用了同一网络命名空间中负载均衡进程相互识别的名称：无法发现第二个进程`,
    );
    this.#log.write({ level: 'warning', code: 'director.second', text: words });
  }
  #start(addon: Addon): void {
    const m = this.#pending;
    if (m === undefined || this.#stopped) return;
    const begun = this.#begin(addon, m);
    if (!begun.ok) {
      this.#fail(begun.error);
      return;
    }
    for (const early of this.#early.splice(0)) this.receive(early);
    this.#send({ kind: 'in-force' });
  }
  #begin(addon: Addon, m: Configure): Result<void, Text> {
    this.#schedule(addon, m.process);
    const network = openNetwork(addon, this.#log);
    if (!network.ok) return { ok: false, error: failureText(network.error) };
    const host = linuxHost({ addon, log: this.#log, network: network.value });
    const { planes, guard } = openPlanes({
      addon,
      host,
      proxyHeader: m.proxyHeader,
      ledger: m.ledger,
      flush: m.config.flushAtStart && Object.keys(m.memory?.pools ?? {}).length === 0,
    });
    const checks = new Checks(host, m.scripts);
    const director = new Director(
      m.config,
      { clock: host.clock, log: this.#log, network: host.network, planes, checks: checks.start },
      {
        ...(m.memory === undefined ? {} : { memory: m.memory }),
        notify: (notification) => this.#send({ kind: 'notify', notification }),
        remember: (service, memory) => this.#send({ kind: 'memory', service, memory }),
      },
    );
    const peer = m.peer && openPeer(m.peer, host, planes);
    this.#works = { host, director, planes, guard, checks, peer, config: m.config };
    // What VRRP is at is told before the configuration: a daemon that runs in the right role goes on.
    for (const early of this.#early) if (early.kind === 'instance') director.vrrpState(early.name, early.view);
    director.start();
    peer?.start();
    return { ok: true, value: undefined };
  }
  /** `checker_priority` and its like: ordinary scheduling unless they say otherwise. */
  #schedule(addon: Addon, s: Configure['process']): void {
    const report = setPriority(addon, {
      ...(s.realTime === undefined ? {} : { realtime: s.realTime }),
      ...(s.nice === undefined ? {} : { nice: s.nice }),
      ...(s.cpus.length === 0 ? {} : { processors: s.cpus }),
    });
    for (const outcome of Object.values(report)) {
      if (outcome === undefined || outcome.ok) continue;
      const why = failureText(outcome.error);
      const words = text(`${why.en}: going on without it`, `${why.zh}：将在没有它的情况下继续运行`);
      this.#log.write({ level: 'warning', code: 'director.priority', text: words });
    }
  }

  // ---------------------------------------------------------------------------------------------- the rest of life

  #answer(q: LbRequest): unknown {
    const works = this.#works;
    const starting: LbAnswer = { error: text('the director is starting', '调度进程正在启动') };
    if (!works) return starting;
    const { director, planes, config, host, peer } = works;
    const outcome = (r: Result<void, Text>): LbAnswer => (r.ok ? { done: true } : { error: r.error });
    const force = 'force' in q && q.force === true;
    switch (q.ask) {
      case 'lb':
        return lbDocument(director.status(), {
          pid: process.pid,
          planes: planes.map((p) => p.name),
          config,
          peer: peer?.status(),
          wall: host.clock.wall(),
        });
      case 'lb-drain':
        if (!q.on) return outcome(director.undrain(q.service, q.server));
        return outcome(
          director.drain(q.service, q.server, {
            force,
            ...(q.forMs === undefined ? {} : { for: us(Math.round(q.forMs * 1000)) }),
          }),
        );
      case 'lb-weight':
        return outcome(director.setWeight(q.service, q.server, q.weight, { force }));
      default:
        return unreachable(q);
    }
  }
  readonly #log: Log = { write: (event) => this.#send({ kind: 'log', event }) };
}
