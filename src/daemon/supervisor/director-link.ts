/** The director process as the supervisor sees it: kept running, told what changes, asked on behalf of operators. */
import type { LbAnswer, LbRequest } from '../../api/index.ts';
import { type Microseconds, type Text, text, unreachable, us } from '../../base/index.ts';
import type { InstanceView, PoolNotification, PoolState, ServiceKey } from '../../director/index.ts';
import type { LogEvent } from '../../host/index.ts';
import { commonNow } from '../channel.ts';
import type { FromDirector, ToDirector } from '../messages.ts';
import { Child } from './child.ts';
import {
  initialKeeper,
  type KeeperEffect,
  type KeeperEvent,
  type KeeperOptions,
  keeperDeadline,
  stepKeeper,
} from './keeper.ts';

export type DirectorSettings = Omit<Extract<ToDirector, { kind: 'configure' }>, 'kind' | 'memory'>;
export type DirectorHandlers = {
  readonly now: () => Microseconds;
  readonly log: (e: LogEvent) => void;
  readonly notify: (n: PoolNotification) => void;
  readonly started: (pid: number) => void;
  /** It died, and may not be started again: the daemon ends. */
  readonly giveUp: () => void;
};

const NAME = text('the director process', '调度进程');
/** An answer waits for the planes' counters, which are read by netlink. */
const ANSWER_WITHIN = 4000;
/** How long the virtual routers wait for the planes at the start of the daemon: a sick director must not keep the address away. */
const READY_WITHIN = 5000;
/** How often it is asked whether it lives. */
const LIVE_EVERY = 5000;

export class DirectorLink {
  #state = initialKeeper;
  #child: Child<ToDirector> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #living: NodeJS.Timeout | undefined;
  #settings: DirectorSettings | undefined;
  #keep = false;
  #left = false;
  readonly #memory = new Map<ServiceKey, PoolState>();
  #whenStopped: (left: boolean) => void = () => {};
  #whenReady: (how: 'in-force' | 'absent' | 'late') => void = () => {};
  #options: KeeperOptions = { name: NAME, respawn: true, childWait: 5_000_000 as Microseconds };
  /** What a process that starts must be told besides its configuration. */
  readonly #instances = new Map<string, InstanceView>();
  readonly #sessions = new Map<string, boolean>();
  readonly #asked = new Map<number, (document: unknown) => void>();
  #question = 0;
  readonly #on: DirectorHandlers;

  constructor(on: DirectorHandlers) {
    this.#on = on;
  }
  get pid(): number | undefined {
    return this.#state.kept.is === 'running' ? this.#child?.pid : undefined;
  }
  /** `leftBehind`: there is something in the kernel to take over, or to sweep. */
  configuration(settings: DirectorSettings, o: Omit<KeeperOptions, 'name'> & { readonly leftBehind: boolean }): void {
    const { leftBehind, ...options } = o;
    this.#settings = settings;
    this.#options = { ...options, name: NAME };
    this.#feed({ kind: 'configuration', work: leftBehind || settings.config.virtualServers.length > 0 });
  }
  /**
   * Calls back once: when the planes are filled, at once where there is no director, and at the latest after a few
   * seconds. The address must not come to a host whose planes are empty: it would answer the established connections of
   * the other director, and end them.
   */
  ready(done: () => void): void {
    const late = setTimeout(() => this.#whenReady('late'), READY_WITHIN);
    this.#whenReady = (how) => {
      this.#whenReady = () => {};
      clearTimeout(late);
      if (how === 'late') {
        const words = text(
          `${NAME.en} has not filled the planes within ${READY_WITHIN / 1000} s: the virtual routers start without it`,
          `${NAME.zh}未在 ${READY_WITHIN / 1000} 秒内就绪：虚拟路由器先行启动`,
        );
        this.#on.log({ level: 'warning', code: 'director.late', text: words });
      }
      done();
    };
    if (this.pid === undefined) this.#whenReady('absent');
  }
  instance(name: string, view: InstanceView): void {
    this.#instances.set(name, view);
    this.#child?.send({ kind: 'instance', name, view });
  }
  bfd(name: string, up: boolean): void {
    this.#sessions.set(name, up);
    this.#child?.send({ kind: 'bfd', name, up });
  }
  ask(request: LbRequest, reply: (document: unknown) => void): void {
    const refuse = (words: Text): void => reply({ error: words } satisfies LbAnswer);
    if (this.pid === undefined) {
      const none = this.#settings === undefined || this.#settings.config.virtualServers.length === 0;
      refuse(
        none
          ? text('the configuration has no virtual servers', '配置中没有虚拟服务器')
          : text('the director process is down; the kernel goes on as it was', '调度进程未在运行；内核继续按原样转发'),
      );
      return;
    }
    const question = ++this.#question;
    const late = setTimeout(() => {
      this.#asked.delete(question);
      refuse(text('the director process does not answer', '调度进程没有应答'));
    }, ANSWER_WITHIN);
    this.#asked.set(question, (document) => {
      clearTimeout(late);
      reply(document);
    });
    const until = us(commonNow() + ANSWER_WITHIN * 1000);
    this.#child?.send({ kind: 'ask', question, request, until });
  }
  /**
   * `stopped` is called once, at the latest when the process was killed because it took too long, and after it one that swept.
   * `left`: services are in the kernel still that were not to stay.
   */
  stop(o: { readonly keep: boolean }, stopped: (left: boolean) => void): void {
    this.#keep = o.keep;
    this.#whenStopped = stopped;
    this.#feed({ kind: 'stop', keep: o.keep });
  }

  #feed(e: KeeperEvent): void {
    const next = stepKeeper(this.#options, this.#state, e, this.#on.now());
    this.#state = next.state;
    for (const effect of next.effects) this.#perform(effect);
    clearTimeout(this.#timer);
    const due = keeperDeadline(this.#state);
    if (due === undefined) return;
    const wait = Math.max(0, Math.ceil((due - this.#on.now()) / 1000));
    this.#timer = setTimeout(() => this.#feed({ kind: 'tick' }), wait);
  }
  #perform(e: KeeperEffect): void {
    switch (e.do) {
      case 'start':
        this.#start();
        break;
      case 'configure':
        this.#configure();
        break;
      case 'sweep':
        this.#sweep();
        break;
      case 'stop':
        this.#child?.send({ kind: 'stop', keep: this.#keep });
        break;
      case 'kill':
        this.#child?.kill();
        break;
      case 'left':
        this.#left = true;
        break;
      case 'stopped':
        this.#whenStopped(this.#left);
        break;
      case 'give-up':
        this.#on.giveUp();
        break;
      case 'log':
        this.#on.log({ level: e.level, code: e.code, text: e.text });
        break;
      default:
        unreachable(e);
    }
  }
  #start(): void {
    const child = new Child<ToDirector>(
      'director/main',
      (m) => this.#receive(m as FromDirector),
      (how) => this.#exited(child, how),
    );
    this.#child = child;
    for (const [name, view] of this.#instances) child.send({ kind: 'instance', name, view });
    for (const [name, up] of this.#sessions) child.send({ kind: 'bfd', name, up });
    if (child.pid !== undefined) this.#on.started(child.pid);
    clearInterval(this.#living);
    this.#living = setInterval(() => child.send({ kind: 'live' }), LIVE_EVERY);
    this.#living.unref();
  }
  #configure(): void {
    if (this.#settings)
      this.#child?.send({ kind: 'configure', ...this.#settings, memory: { pools: Object.fromEntries(this.#memory) } });
  }
  /** What others put into the same tables stays also where the configuration wants them empty at the start. */
  #sweep(): void {
    if (this.#settings === undefined) return;
    const config = { ...this.#settings.config, virtualServers: [], flushAtStart: false };
    this.#child?.send({ kind: 'configure', ...this.#settings, config, peer: undefined, memory: { pools: {} } });
  }
  #exited(child: Child<ToDirector>, how: Text): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    clearInterval(this.#living);
    this.#whenReady('absent');
    for (const [, reply] of this.#asked)
      reply({ error: text('the director process died meanwhile', '调度进程在此期间终止') } satisfies LbAnswer);
    this.#asked.clear();
    this.#feed({ kind: 'exit', how });
  }
  #receive(m: FromDirector): void {
    switch (m.kind) {
      case 'log':
        this.#on.log(m.event);
        break;
      case 'notify':
        this.#on.notify(m.notification);
        break;
      case 'memory':
        if (m.memory) this.#memory.set(m.service, m.memory);
        else this.#memory.delete(m.service);
        break;
      case 'answer': {
        const reply = this.#asked.get(m.question);
        this.#asked.delete(m.question);
        reply?.(m.document);
        break;
      }
      case 'in-force':
        this.#whenReady('in-force');
        this.#feed({ kind: 'in-force' });
        break;
      case 'alive':
        this.#feed({ kind: 'heard' });
        break;
      case 'stopped':
        this.#feed({ kind: 'released' });
        break;
      default:
        unreachable(m);
    }
  }
}
