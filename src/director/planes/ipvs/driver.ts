import { err, ok, type Result, type Text, text } from '../../../base/index.ts';
import type { HostError, Log, Netlink, NetlinkOutcome } from '../../../host/index.ts';
import { IPVS_CMD, type IpvsInfo, writeIpvsHead } from '../../../wire/index.ts';
import type {
  Plane,
  Refusal,
  ServiceCounters,
  ServiceKey,
  ServiceOutcome,
  Wanted,
  WantedService,
} from '../../types.ts';
import { type IpvsKey, IpvsReader } from './actual.ts';
import { Claims, type Comparison } from './claims.ts';
import { commandError, errnoName, isRace, requestOf } from './commands.ts';
import { countServers } from './counters.ts';
import { type IpvsFamily, openFamily } from './family.ts';
import { type Ledger, Property } from './ledger.ts';
import { carryOut, daemonKey, type IpvsStep, type Owned, type OwnTable, plan, planPool } from './plan.ts';
import { type LvsServiceRow, rowOf } from './rows.ts';
import { daemonOf, refusalOf } from './wanted.ts';

export type IpvsPlaneOptions = { readonly netlink: Netlink; readonly ledger: Ledger; readonly log: Log };

type Outcome = ServiceOutcome['result'];
/** The second time the table has been read again; a third would be a quarrel. */
const ATTEMPTS = 2;
const KEPT = ok('kept' as const);
const NOTHING: Wanted = { services: [], timeouts: {}, sync: [] };
const SYNC_KEYS = (['master', 'backup'] as const).map(daemonKey);

/**
 * The kernel's IPVS. The table is read once and then known: a change costs its own messages and no more, however many
 * services there are. It is read again when the kernel's answers say that somebody else changed it; `counters`, which
 * reads it anyway, notices too, and the next `tick` puts it right.
 */
export class IpvsPlane implements Plane {
  readonly name = 'ipvs';
  readonly #o: IpvsPlaneOptions;
  readonly #property: Property;
  readonly #claims = new Claims();
  #family: Result<IpvsFamily, HostError> | undefined;
  /** Undefined until read, and again when it cannot be trusted. */
  #table: OwnTable | undefined;
  #wanted = NOTHING;
  /** A command that is no service's own failed (a daemon, timeouts): nobody else would try it again. */
  #owed = false;
  #complaint = '';

  constructor(o: IpvsPlaneOptions) {
    this.#o = o;
    this.#property = new Property(o.ledger);
  }

  #open(): Result<IpvsFamily, HostError> {
    this.#family ??= openFamily(this.#o.netlink);
    return this.#family;
  }
  #reader(): Result<IpvsReader, HostError> {
    const family = this.#open();
    return family.ok ? ok(new IpvsReader(family.value.channel, family.value.id)) : family;
  }

  refuses(service: WantedService): Refusal | undefined {
    const refused = refusalOf(service);
    if (refused !== undefined) return refused;
    const family = this.#open();
    if (family.ok) return undefined;
    const { code, doing } = family.error;
    if (code !== 'ENOENT')
      return { code: 'ipvs-unreachable', text: text(`${doing.en}: ${code}`, `${doing.zh}：${code}`) };
    const words = text(
      'this kernel has no IPVS, and none could be loaded: install the module ip_vs of the running kernel, then modprobe ip_vs',
      '内核没有 IPVS，也无法加载：请安装当前内核的 ip_vs 模块，然后执行 modprobe ip_vs',
    );
    return { code: 'ipvs-no-module', text: words };
  }

  apply(wanted: Wanted): readonly ServiceOutcome[] {
    this.#wanted = wanted;
    const nothing = wanted.services.length === 0 && wanted.sync.length === 0;
    if (nothing && this.#property.keys.size === 0) return []; // no module is loaded for nothing
    const family = this.#open();
    const done = family.ok ? this.#reconcile(family.value, wanted) : family;
    if (done.ok) return wanted.services.map(({ key }) => ({ key, result: done.value.get(key) ?? KEPT }));
    this.#complain(withCode(done.error));
    return wanted.services.map(({ key }) => ({ key, result: done }));
  }

  #reconcile(family: IpvsFamily, wanted: Wanted): Result<ReadonlyMap<ServiceKey, Outcome>, HostError> {
    const outcomes = new Map<ServiceKey, Outcome>();
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      this.#owed = false;
      const fresh = this.#table === undefined;
      if (fresh) this.#claims.forgetAll();
      const { changed, released, clashes } = this.#claims.compare(wanted.services);
      for (const [key, error] of clashes) outcomes.set(key, err(error));
      const before = this.#read(family);
      if (!before.ok) return before;
      const steps = plan(
        {
          pools: changed.flatMap((h) => h.pools.map((p) => p.pool)),
          daemons: wanted.sync.map(daemonOf),
          timeouts: wanted.timeouts,
        },
        before.value,
        fresh ? this.#property.keys : this.#removable(released),
      );
      this.#claimProperty(changed, wanted);
      const failures = this.#tell(family, steps, before.value);
      this.#judge(steps, failures, outcomes);
      this.#releaseProperty(fresh ? this.#property.keys : this.#removable(released));
      if (![...failures].some(([s, o]) => isRace(s.command, o))) break;
      this.#table = undefined;
    }
    for (const [key, result] of outcomes) if (!result.ok) this.#claims.doubt(key);
    return ok(outcomes);
  }
  #read(family: IpvsFamily): Result<OwnTable, HostError> {
    if (this.#table !== undefined) return ok(this.#table);
    const ours = (key: IpvsKey): boolean => this.#claims.has(key) || this.#property.keys.has(key);
    const read = new IpvsReader(family.channel, family.id).table(ours);
    if (read.ok) this.#table = read.value;
    return read;
  }
  #removable(released: ReadonlySet<IpvsKey>): Owned {
    const keys = [...released, ...SYNC_KEYS].filter((k) => this.#property.keys.has(k) && !this.#claims.has(k));
    return new Set(keys);
  }
  #claimProperty(changed: Comparison['changed'], wanted: Wanted): void {
    const services = changed.flatMap((h) => h.pools.map((p) => p.key));
    this.#heed(this.#property.add([...services, ...wanted.sync.map((s) => daemonKey(s.role))]));
  }
  #releaseProperty(looked: Owned): void {
    const { pools, daemons } = this.#table ?? { pools: new Map<IpvsKey, unknown>(), daemons: [] };
    const there = new Set(daemons.map((d) => daemonKey(d.role)));
    this.#heed(
      this.#property.delete([...looked].filter((k) => !this.#claims.has(k) && !pools.has(k) && !there.has(k))),
    );
  }

  #tell(family: IpvsFamily, steps: readonly IpvsStep[], table: OwnTable): ReadonlyMap<IpvsStep, NetlinkOutcome> {
    if (steps.length === 0) return new Map();
    const outcomes = family.channel.transact(steps.map((s) => requestOf(family.id, s.command)));
    const failures = new Map<IpvsStep, NetlinkOutcome>();
    steps.forEach((s, i) => {
      const o = outcomes[i] as NetlinkOutcome;
      if (o.errno !== 0) failures.set(s, o);
    });
    const done = failures.size === 0 ? steps : steps.filter((s) => !failures.has(s));
    carryOut(done, table);
    return failures;
  }
  #judge(
    steps: readonly IpvsStep[],
    failures: ReadonlyMap<IpvsStep, NetlinkOutcome>,
    outcomes: Map<ServiceKey, Outcome>,
  ): void {
    const failed = new Set<ServiceKey>();
    for (const s of steps) {
      const key = s.key === undefined ? undefined : this.#claims.owner(s.key);
      const failure = failures.get(s);
      if (key === undefined) {
        if (failure === undefined) continue;
        this.#owed = true;
        this.#complain(withCode(commandError(s.command, failure)));
      } else if (!failed.has(key)) {
        outcomes.set(key, failure === undefined ? ok('changed') : err(commandError(s.command, failure)));
        if (failure !== undefined) failed.add(key); // what comes behind it fails for the same reason
      }
    }
  }

  #heed(written: Result<void, HostError>): void {
    if (written.ok) return;
    const { en, zh } = withCode(written.error);
    this.#complain(
      text(
        `${en}: after a restart, services that are no longer wanted will stay in the kernel`,
        `${zh}：重启后，不再需要的服务将留在内核中`,
      ),
    );
  }
  /** The same words once: what is tried again each second would fill the log. */
  #complain(t: Text): void {
    if (t.en === this.#complaint) return;
    this.#complaint = t.en;
    this.#o.log.write({ level: 'warning', code: 'lb.ipvs', text: t });
  }

  /** Everything, also what others put there: for operators who ask for it (`lvs_flush`), before the first `apply`. */
  flush(): Result<void, HostError> {
    const family = this.#open();
    if (!family.ok) return family;
    const { channel, id } = family.value;
    const [outcome] = channel.transact([{ type: id, flags: 0, write: (w) => void writeIpvsHead(w, IPVS_CMD.flush) }]);
    this.#table = undefined;
    const errno = outcome?.errno ?? 0;
    const doing = text('flush the IPVS table', '清空 IPVS 表');
    return errno === 0 ? ok(undefined) : err({ code: errnoName(errno), doing });
  }
  counters(): Result<readonly ServiceCounters[], HostError> {
    const reader = this.#reader();
    if (!reader.ok) return reader;
    const found: ServiceCounters[] = [];
    for (const { service, pools } of this.#claims.held()) {
      const servers = [];
      for (const { pool } of pools) {
        const read = reader.value.servers(pool.service.identity);
        if (!read.ok && read.error.code !== 'ESRCH') return read;
        if (!read.ok || planPool(pool, { service: pool.service, servers: read.value }).length > 0)
          this.#table = undefined; // somebody else was at it
        if (read.ok) servers.push(...read.value);
      }
      found.push({ key: service.key, servers: countServers(service, servers) });
    }
    return ok(found);
  }
  /** The whole table of this network namespace, also what others put there. */
  rows(): Result<readonly LvsServiceRow[], HostError> {
    const reader = this.#reader();
    if (!reader.ok) return reader;
    const pools = reader.value.pools();
    return pools.ok ? ok([...pools.value.values()].flatMap((p) => rowOf(p) ?? [])) : pools;
  }
  /** The module's version and the size of its table of connections. */
  info(): Result<IpvsInfo, HostError> {
    const reader = this.#reader();
    return reader.ok ? reader.value.info() : reader;
  }
  /** A module that was missing may have come, or the interface of a daemon; what somebody else changed is put right. */
  tick(): void {
    if (this.#family?.ok === false) this.#family = undefined;
    else if (this.#owed || (this.#table === undefined && this.#wanted.services.length > 0)) this.apply(this.#wanted);
  }
  close(o: { readonly keep: boolean }): void {
    if (!o.keep) this.apply(NOTHING);
    if (this.#family?.ok) this.#family.value.channel.close();
    this.#family = undefined;
  }
}
const withCode = (e: HostError): Text => text(`${e.doing.en}: ${e.code}`, `${e.doing.zh}：${e.code}`);
