/**
 * The director: configuration, checkers, pools, planes and the addresses of this host, joined. It decides nothing. What
 * an event changes is in the planes before the event's turn is over, and is told to people and scripts after that.
 */
import { err, type Microseconds, ok, type Result, type Text, text, us } from '../base/index.ts';
import type { Cancel, Clock, Log, NetChange, Network } from '../host/index.ts';
import type { CheckReport, CheckRunner, CheckSpec, StartChecks } from './check.ts';
import type { DirectorConfig } from './config.ts';
import { Placement } from './placement.ts';
import {
  begin,
  type Decision,
  deadline,
  describeDecision,
  type InstanceView,
  isNews,
  levelOf,
  notificationOf,
  type PoolConfig,
  type PoolEvent,
  type PoolNotification,
  type PoolState,
  poolConfigs,
  servicesOf,
  step,
  syncOf,
  widest,
} from './pool/index.ts';
import { type DirectorStatus, serviceStatus } from './status.ts';
import { newsOf, type Survey, survey } from './survey.ts';
import type { Plane, ServerKey, ServiceKey } from './types.ts';

export type DirectorPorts = {
  readonly clock: Clock;
  readonly log: Log;
  readonly network: Network;
  /** In any order; each name at most once. */
  readonly planes: readonly Plane[];
  readonly checks: StartChecks;
};
export type DirectorOptions = {
  /** Of the process before this one: dead servers are not believed in again, drains go on. */
  readonly memory?: DirectorMemory;
  /** Scripts to run, lines for FIFOs, mail. Called after the planes were told. */
  readonly notify: (n: PoolNotification) => void;
  /** After each change of a pool, before anybody is told: what to hand to the next process, also of one that was killed. Undefined: the pool is gone. */
  readonly remember?: (service: ServiceKey, memory: PoolState | undefined) => void;
};
export type DirectorMemory = { readonly pools: Readonly<Record<ServiceKey, PoolState>> };

type Pool = { config: PoolConfig; state: PoolState; cancel: Cancel; dueAt: number };
/** Decisions of a pool, in the words of a configuration that has what they are about. */
type Told = readonly [Pool, PoolConfig, readonly Decision[]];
const TICK = us(1_000_000);

export class Director {
  readonly #ports: DirectorPorts;
  readonly #options: DirectorOptions;
  readonly #placement: Placement;
  readonly #instances = new Map<string, InstanceView>();
  readonly #last = new Map<string, CheckReport>();
  #config: DirectorConfig;
  #pools = new Map<ServiceKey, Pool>();
  #byCheck = new Map<string, { readonly pool: Pool; readonly server: ServerKey }>();
  #checks: CheckRunner | undefined;
  #here: Survey | undefined;
  #looking = false;
  #cancelLook: Cancel = () => {};
  #cancelTick: Cancel = () => {};
  #unwatch: Cancel = () => {};

  constructor(config: DirectorConfig, ports: DirectorPorts, options: DirectorOptions) {
    this.#config = config;
    this.#ports = ports;
    this.#options = options;
    this.#placement = new Placement(ports.planes, ports.log);
  }

  start(): void {
    const { clock, network } = this.#ports;
    const told: Told[] = [];
    for (const config of this.#poolConfigs()) {
      const { state, decisions } = begin(config, clock.now(), this.#options.memory?.pools[config.key]);
      const pool: Pool = { config, state, cancel: () => {}, dueAt: Infinity };
      this.#pools.set(config.key, pool);
      told.push([pool, config, decisions]);
    }
    this.#look(told);
    this.#arrange();
    this.#finish(told);
    for (const key of Object.keys(this.#options.memory?.pools ?? {}))
      if (!this.#pools.has(key)) this.#options.remember?.(key, undefined);
    this.#checks = this.#ports.checks((r) => this.#report(r));
    this.#setChecks();
    this.#unwatch = network.watch((c) => this.#networkChanged(c));
    this.#tickLater();
  }

  /** Only what differs is touched: a service that is the same keeps its state, its checkers and its plane. */
  reload(config: DirectorConfig): void {
    const now = this.#ports.clock.now();
    const before = this.#pools;
    this.#config = config;
    this.#pools = new Map();
    const told: Told[] = [];
    for (const c of this.#poolConfigs()) {
      const old = before.get(c.key);
      const { state, decisions } = old ? step(c, old.state, { kind: 'reload' }, now) : begin(c, now);
      const pool: Pool = old ?? { config: c, state, cancel: () => {}, dueAt: Infinity };
      // What is gone is told in the words of the configuration that had it.
      const gone = decisions.filter((d) => d.do === 'gone');
      if (old && gone.length > 0) told.push([pool, old.config, gone]);
      told.push([pool, c, decisions.filter((d) => d.do !== 'gone')]);
      pool.config = c;
      pool.state = state;
      this.#pools.set(c.key, pool);
    }
    for (const [key, pool] of before) {
      if (this.#pools.has(key)) continue;
      pool.cancel();
      told.push([pool, pool.config, step(pool.config, pool.state, { kind: 'stop' }, now).decisions]);
    }
    this.#look(told);
    this.#arrange();
    this.#finish(told);
    this.#setChecks();
  }

  /** `keep`: planes go on without this process. Otherwise services are taken down, and `omega` is told of. */
  stop(o: { readonly keep: boolean }): void {
    this.#checks?.close();
    this.#unwatch();
    this.#cancelTick();
    this.#cancelLook();
    for (const pool of this.#pools.values()) pool.cancel();
    this.#placement.close(o);
    if (o.keep) return;
    const now = this.#ports.clock.now();
    for (const pool of this.#pools.values()) {
      const { state, decisions } = step(pool.config, pool.state, { kind: 'stop' }, now);
      pool.state = state;
      this.#tell(pool.config, decisions);
    }
  }

  memory(): DirectorMemory {
    const pools: Record<ServiceKey, PoolState> = {};
    for (const [key, pool] of this.#pools) pools[key] = pool.state;
    return { pools };
  }

  // ------------------------------------------------------------------------------------------ operators

  /**
   * No new connections; those that are established go on. Refused where the service would lose its quorum by it, unless
   * `force`. `for`: it ends by itself.
   */
  drain(
    service: ServiceKey,
    server: ServerKey,
    o: { readonly for?: Microseconds; readonly force?: boolean } = {},
  ): Result<void, Text> {
    const until = o.for === undefined ? undefined : us(this.#ports.clock.now() + o.for);
    return this.#operate(service, server, { kind: 'drain', server, until }, o.force ?? false);
  }
  undrain(service: ServiceKey, server: ServerKey): Result<void, Text> {
    return this.#operate(service, server, { kind: 'undrain', server }, true);
  }
  /** 0..65535 in place of the configured weight; undefined: the configured one again. */
  setWeight(
    service: ServiceKey,
    server: ServerKey,
    weight: number | undefined,
    o: { readonly force?: boolean } = {},
  ): Result<void, Text> {
    if (weight !== undefined && !(Number.isInteger(weight) && weight >= 0 && weight <= 65535))
      return err(text(`weight ${weight} is outside 0..65535`, `权重 ${weight} 超出 0..65535`));
    return this.#operate(service, server, { kind: 'weight', server, weight }, o.force ?? false);
  }
  #operate(service: ServiceKey, server: ServerKey, e: PoolEvent, force: boolean): Result<void, Text> {
    const pool = this.#pools.get(service);
    if (!pool) return err(text(`there is no service ${service}`, `没有服务 ${service}`));
    if (!pool.state.servers.some((x) => x.key === server))
      return err(text(`${service} has no server ${server}`, `${service} 没有服务器 ${server}`));
    const tried = step(pool.config, pool.state, e, this.#ports.clock.now());
    const lost = tried.decisions.find((d) => d.do === 'quorum' && d.to === 'down');
    if (lost && !force) {
      const what = describeDecision(pool.config, lost);
      return err(
        text(`not done: ${what.en} (--force does it all the same)`, `未执行：${what.zh}（--force 可强制执行）`),
      );
    }
    this.#feed(pool, e);
    return ok(undefined);
  }

  // ------------------------------------------------------------------------------------------ the host

  /** The connection-synchronisation daemons follow the instance. What is told before `start` is what it begins with. */
  vrrpState(instance: string, view: InstanceView): void {
    this.#instances.set(instance, view);
    if (this.#checks === undefined) return;
    this.#share();
    this.#placement.apply();
  }

  status(): DirectorStatus {
    const now = this.#ports.clock.now();
    const counters = this.#placement.counters();
    const services = [...this.#pools.values()].map((p) =>
      serviceStatus(p.config, p.state, this.#placement.places(p.config.key), this.#last, counters, now),
    );
    return { at: now, services, sync: this.#sync() };
  }

  // ------------------------------------------------------------------------------------------ inside

  #poolConfigs(): PoolConfig[] {
    const { configs, repeated } = poolConfigs(this.#config);
    for (const { service, text: words } of repeated)
      this.#ports.log.write({ level: 'error', code: 'lb.refused', text: words, fields: { service } });
    return configs;
  }

  /** Where the host's addresses and routes matter: which servers can be reached, and whose checks pause. */
  #look(told: Told[], before?: Survey): boolean {
    const { network, clock } = this.#ports;
    this.#here = survey(
      network,
      [...this.#pools.values()].map((p) => p.config),
    );
    const news = newsOf(this.#here, before, this.#config.groups);
    let changed = false;
    for (const pool of this.#pools.values()) {
      for (const e of news(pool.config)) {
        const { state, decisions } = step(pool.config, pool.state, e, clock.now());
        if (state === pool.state) continue;
        pool.state = state;
        changed = true;
        told.push([pool, pool.config, decisions]);
      }
    }
    return changed;
  }
  /** Notices come in crowds, when an instance takes over: they are looked into once, as soon as all that are queued have been read. */
  #networkChanged(c: NetChange): void {
    if (c.kind === 'rule' || c.kind === 'rule-gone' || c.kind === 'link' || this.#looking) return;
    this.#looking = true;
    this.#cancelLook = this.#ports.clock.at(this.#ports.clock.now(), () => {
      this.#looking = false;
      const told: Told[] = [];
      if (!this.#look(told, this.#here)) return;
      this.#arrange();
      this.#finish(told);
      this.#setChecks();
    });
  }

  #arrange(): void {
    this.#placement.arrange(
      [...this.#pools.values()].map(({ config, state }) => {
        const asked = config.service.options?.plane;
        return { key: config.key, widest: widest(config, state, this.#config.groups), asked };
      }),
    );
    this.#share();
    for (const pool of this.#pools.values()) this.#want(pool);
  }
  #share(): void {
    this.#placement.share({ timeouts: this.#config.timeouts, sync: this.#sync() });
  }
  #sync(): DirectorStatus['sync'] {
    const { syncDaemon } = this.#config;
    return syncOf(
      syncDaemon,
      syncDaemon?.instance === undefined ? undefined : this.#instances.get(syncDaemon.instance),
    );
  }
  #want(pool: Pool): void {
    this.#placement.want(pool.config.key, servicesOf(pool.config, pool.state, this.#config.groups));
  }
  #finish(told: readonly Told[]): void {
    this.#placement.apply();
    for (const pool of this.#pools.values()) this.#wake(pool);
    for (const pool of new Set(told.map(([p]) => p))) this.#remember(pool);
    for (const [, config, decisions] of told) this.#tell(config, decisions);
  }

  #setChecks(): void {
    const specs: CheckSpec[] = [];
    this.#byCheck = new Map();
    for (const pool of this.#pools.values()) {
      pool.config.servers.forEach((p, i) => {
        const state = pool.state.servers[i];
        for (const { id, checker } of p.checks) {
          this.#byCheck.set(id, { pool, server: p.key });
          specs.push({
            id,
            service: pool.config.key,
            server: p.key,
            checker,
            initial: state?.checks.find((k) => k.id === id)?.verdict ?? 'up',
            suspended: pool.state.suspended,
          });
        }
      });
    }
    for (const id of this.#last.keys()) if (!this.#byCheck.has(id)) this.#last.delete(id);
    this.#checks?.set(specs, this.#config.tls ? { tls: this.#config.tls } : {});
  }
  #report(r: CheckReport): void {
    const at = this.#byCheck.get(r.id);
    if (!at) return;
    this.#last.set(r.id, r);
    const check = at.pool.state.servers.find((x) => x.key === at.server)?.checks.find((k) => k.id === r.id);
    if (check && isNews(check, r))
      this.#feed(at.pool, { kind: 'check', id: r.id, verdict: r.verdict, reason: r.reason, weight: r.weight });
  }

  #feed(pool: Pool, e: PoolEvent): void {
    const { state, decisions } = step(pool.config, pool.state, e, this.#ports.clock.now());
    if (state === pool.state) return;
    pool.state = state;
    this.#want(pool);
    this.#placement.apply();
    this.#wake(pool);
    this.#remember(pool);
    this.#tell(pool.config, decisions);
  }
  #remember(pool: Pool): void {
    const { key } = pool.config;
    this.#options.remember?.(key, this.#pools.get(key) === pool ? pool.state : undefined);
  }
  #wake(pool: Pool): void {
    const due = deadline(pool.config, pool.state);
    if (due === pool.dueAt) return;
    pool.cancel();
    pool.dueAt = due;
    pool.cancel = Number.isFinite(due)
      ? this.#ports.clock.at(due, () => {
          pool.dueAt = Infinity;
          this.#feed(pool, { kind: 'tick' });
        })
      : () => {};
  }
  #tell(config: PoolConfig, decisions: readonly Decision[]): void {
    const now = this.#ports.clock.now();
    for (const d of decisions) {
      const words = describeDecision(config, d, now);
      const server = 'server' in d ? { server: d.server } : {};
      this.#ports.log.write({
        level: levelOf(d),
        code: `lb.${d.do}`,
        text: words,
        fields: { service: config.key, ...server },
      });
      const n = notificationOf(config, d, { checkMails: !this.#config.noCheckerMails });
      if (n) this.#options.notify(n);
    }
  }
  #tickLater(): void {
    this.#cancelTick = this.#ports.clock.at(us(this.#ports.clock.now() + TICK), () => {
      this.#placement.tick();
      this.#tickLater();
    });
  }
}
