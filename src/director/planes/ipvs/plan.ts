import { type Text, text, unreachable } from '../../../base/index.ts';
import {
  IPVS_FLAG,
  type IpvsDaemon,
  type IpvsDestination,
  type IpvsIdentity,
  type IpvsService,
  type IpvsTimeouts,
} from '../../../wire/index.ts';
import { endpoint, type IpvsKey, type IpvsPool, type IpvsTable, ipvsKey } from './actual.ts';

export type IpvsCommand =
  | { readonly do: 'service-add' | 'service-edit'; readonly service: IpvsService }
  | { readonly do: 'service-remove'; readonly identity: IpvsIdentity }
  | {
      readonly do: 'server-add' | 'server-edit' | 'server-remove';
      readonly identity: IpvsIdentity;
      readonly server: IpvsDestination;
    }
  | { readonly do: 'daemon-start'; readonly daemon: IpvsDaemon }
  | { readonly do: 'daemon-stop'; readonly role: IpvsDaemon['role'] }
  | { readonly do: 'timeouts'; readonly timeouts: IpvsTimeouts };
export type IpvsStep = {
  readonly command: IpvsCommand;
  readonly reason: Text;
  /** The service that it is for. */
  readonly key?: IpvsKey;
};

export type IpvsWanted = {
  readonly pools: readonly IpvsPool[];
  readonly daemons: readonly IpvsDaemon[];
  /** What is absent stays as it is. */
  readonly timeouts: Partial<IpvsTimeouts>;
};
/** What whoever reads a table keeps of it. */
export type OwnTable = { pools: Map<IpvsKey, IpvsPool>; daemons: IpvsTable['daemons']; timeouts: IpvsTimeouts };
/** What may be removed where it is not wanted: keys of services, and `sync master`, `sync backup`. */
export type Owned = ReadonlySet<string>;
export const daemonKey = (role: IpvsDaemon['role']): string => `sync ${role}`;

const DEFAULT_TTL = 1;
const MISSING = text('is missing', '缺失');
const UNWANTED = text('is no longer wanted', '不再需要');

/**
 * The fewest commands that bring the kernel's table from `actual` to `wanted`; none where all is as it should be, so a
 * restarted daemon takes over what is there. A service under a wanted key is ours with all its servers, whoever put it
 * there; beyond that only what `mine` names is ever removed.
 *
 * Servers are added and changed before others are removed, so that a pool which stays is never empty in between. They
 * are added in the order wanted: the kernel's list, newest first, is then the same on every director that begins so.
 */
export function plan(wanted: IpvsWanted, actual: IpvsTable, mine: Owned): IpvsStep[] {
  const keep = new Set(wanted.pools.map((p) => ipvsKey(p.service.identity)));
  const gone = [...mine].flatMap((key) => {
    const pool = keep.has(key) ? undefined : actual.pools.get(key);
    if (pool === undefined) return [];
    return [{ command: { do: 'service-remove', identity: pool.service.identity }, reason: UNWANTED, key } as const];
  });
  return [
    ...planTimeouts(wanted.timeouts, actual.timeouts),
    ...wanted.pools.flatMap((p) => planPool(p, actual.pools.get(ipvsKey(p.service.identity)))),
    ...gone,
    ...planDaemons(wanted.daemons, actual.daemons, mine),
  ];
}

/** For one service. `actual` undefined: it is not there. */
export function planPool(wanted: IpvsPool, actual: IpvsPool | undefined): IpvsStep[] {
  const { service } = wanted;
  const { identity } = service;
  const key = ipvsKey(identity);
  const steps: IpvsStep[] = [];
  if (actual === undefined) {
    steps.push({ command: { do: 'service-add', service }, reason: MISSING, key });
    for (const server of wanted.servers)
      steps.push({ command: { do: 'server-add', identity, server }, reason: MISSING, key });
    return steps;
  }
  const reason = serviceDifference(service, actual.service);
  if (reason !== undefined) steps.push({ command: { do: 'service-edit', service }, reason, key });
  const there = new Map(actual.servers.map((d) => [endpoint(d), d]));
  for (const server of wanted.servers) {
    const old = there.get(endpoint(server));
    there.delete(endpoint(server));
    const reason = old === undefined ? MISSING : serverDifference(server, old);
    const verb = old === undefined ? 'server-add' : 'server-edit';
    if (reason !== undefined) steps.push({ command: { do: verb, identity, server }, reason, key });
  }
  for (const server of there.values())
    steps.push({ command: { do: 'server-remove', identity, server }, reason: UNWANTED, key });
  return steps;
}

type Property = readonly [en: string, zh: string, is: string | number, wanted: string | number];
/** The first that differs, in words. */
function difference(properties: readonly Property[]): Text | undefined {
  const found = properties.find(([, , is, wanted]) => is !== wanted);
  if (found === undefined) return undefined;
  const [en, zh, is, wanted] = found;
  return text(`${en} is ${is}, wanted is ${wanted}`, `${zh}为 ${is}，期望为 ${wanted}`);
}
/** The kernel sets `hashed` by itself. */
const flags = (s: IpvsService): string => `0x${(s.flags & ~IPVS_FLAG.hashed).toString(16)}`;
const serviceDifference = (wanted: IpvsService, is: IpvsService): Text | undefined =>
  difference([
    ['its scheduler', '调度算法', is.scheduler, wanted.scheduler],
    ['its flags', '标志', flags(is), flags(wanted)],
    ['its persistence in seconds', '持久性秒数', is.timeout, wanted.timeout],
    ['its netmask', '掩码', is.netmask, wanted.netmask],
    ['its persistence engine', '持久性引擎', is.engine ?? 'none', wanted.engine ?? 'none'],
  ]);
/** What a tunnel is made of concerns only servers behind one. */
const way = (d: IpvsDestination): string =>
  d.forward === 'tunnel' ? `tunnel ${d.tunnel.type} ${d.tunnel.port} ${d.tunnel.flags}` : d.forward;
const serverDifference = (wanted: IpvsDestination, is: IpvsDestination): Text | undefined =>
  difference([
    ['its weight', '权重', is.weight, wanted.weight],
    ['its forwarding', '转发方式', way(is), way(wanted)],
    ['its upper threshold', '连接上限', is.upperThreshold, wanted.upperThreshold],
    ['its lower threshold', '连接下限', is.lowerThreshold, wanted.lowerThreshold],
  ]);

function planTimeouts(wanted: Partial<IpvsTimeouts>, actual: IpvsTimeouts): IpvsStep[] {
  const names = ['tcp', 'tcpfin', 'udp'] as const;
  const reason = difference(names.map((n) => [n, `${n} `, actual[n], wanted[n] ?? actual[n]]));
  if (reason === undefined) return [];
  const timeouts = { tcp: wanted.tcp ?? 0, tcpfin: wanted.tcpfin ?? 0, udp: wanted.udp ?? 0 };
  return [{ command: { do: 'timeouts', timeouts }, reason }];
}

/** At most one of each role. A running one is never changed, only replaced; it loses no connections, only news of them. */
function planDaemons(wanted: readonly IpvsDaemon[], actual: readonly IpvsDaemon[], mine: Owned): IpvsStep[] {
  const steps: IpvsStep[] = [];
  for (const is of actual) {
    const { role } = is;
    const reason = wanted.some((w) => w.role === role) || !mine.has(daemonKey(role)) ? undefined : UNWANTED;
    if (reason !== undefined) steps.push({ command: { do: 'daemon-stop', role }, reason });
  }
  for (const daemon of wanted) {
    const is = actual.find((a) => a.role === daemon.role);
    const reason = is === undefined ? MISSING : daemonDifference(daemon, is);
    if (reason === undefined) continue;
    if (is !== undefined) steps.push({ command: { do: 'daemon-stop', role: daemon.role }, reason });
    steps.push({ command: { do: 'daemon-start', daemon }, reason });
  }
  return steps;
}
/** Where the kernel was left to choose the length by the MTU, whatever it has is right. */
const daemonDifference = (wanted: IpvsDaemon, is: IpvsDaemon): Text | undefined =>
  difference([
    ['its interface', '接口', is.interface, wanted.interface],
    ['its id', '编号', is.id, wanted.id],
    ['its length', '报文长度', is.maxLength, wanted.maxLength || is.maxLength],
    ['its group', '组播组', is.group ?? '', wanted.group ?? is.group ?? ''],
    ['its port', '端口', is.port, wanted.port || is.port],
    ['its TTL', 'TTL', is.ttl, wanted.ttl || DEFAULT_TTL],
  ]);

/** A table of the caller's own, brought to what it is once these commands are done. */
export function carryOut(steps: readonly IpvsStep[], table: OwnTable): void {
  for (const { command: c } of steps) {
    switch (c.do) {
      case 'service-add':
      case 'service-edit': {
        const key = ipvsKey(c.service.identity);
        table.pools.set(key, { service: c.service, servers: table.pools.get(key)?.servers ?? [] });
        break;
      }
      case 'service-remove':
        table.pools.delete(ipvsKey(c.identity));
        break;
      case 'server-add':
      case 'server-edit':
      case 'server-remove': {
        const key = ipvsKey(c.identity);
        const pool = table.pools.get(key);
        if (pool === undefined) break;
        const { address, port } = c.server;
        const others = pool.servers.filter((s) => s.address !== address || s.port !== port);
        table.pools.set(key, { ...pool, servers: c.do === 'server-remove' ? others : [c.server, ...others] });
        break;
      }
      case 'daemon-start':
        table.daemons = [...table.daemons, { ...c.daemon, ttl: c.daemon.ttl || DEFAULT_TTL }];
        break;
      case 'daemon-stop':
        table.daemons = table.daemons.filter((d) => d.role !== c.role);
        break;
      case 'timeouts': {
        const [is, { tcp, tcpfin, udp }] = [table.timeouts, c.timeouts];
        table.timeouts = { tcp: tcp || is.tcp, tcpfin: tcpfin || is.tcpfin, udp: udp || is.udp };
        break;
      }
      default:
        unreachable(c);
    }
  }
}
/** The table as it is once these commands are done. */
export function after(steps: readonly IpvsStep[], before: IpvsTable): IpvsTable {
  const table = { ...before, pools: new Map(before.pools) };
  carryOut(steps, table);
  return table;
}
