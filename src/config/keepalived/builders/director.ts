import { type Family, familyOf, type IpAddress, text } from '../../../base/index.ts';
import type {
  DirectorConfig,
  Forwarding,
  Protocol,
  RealServer,
  SchedulerFlag,
  VirtualServer,
  VirtualServerGroup,
  VirtualService,
} from '../../../director/config.ts';
import type { HeadValue, realServer, ServerAddress, virtualServer } from '../grammar/director.ts';
import type { Got, Nested, ValuesOf } from '../grammar/spec.ts';
import type { Report } from '../report.ts';
import { buildCheckers, type CheckContext, type CheckDefaults, checkDefaults } from './checkers.ts';
import { fifoOf, type GlobalValues, maybe } from './values.ts';
import type { RootValues } from './vrrp.ts';

type ServerWords = (typeof virtualServer)['words'];
type VirtualValues = ValuesOf<ServerWords>;
type RealWords = (typeof realServer)['words'];

export type DirectorContext = CheckContext & {
  readonly global: GlobalValues;
  readonly instances: ReadonlySet<string>;
};

const FLAGS: readonly SchedulerFlag[] = [
  'flag-1',
  'flag-2',
  'flag-3',
  'sh-port',
  'sh-fallback',
  'mh-port',
  'mh-fallback',
];
const DEFAULT_SYNC_GROUP = '224.0.0.81' as IpAddress;

export function buildDirector(r: RootValues, c: DirectorContext): DirectorConfig {
  const { global: g, report } = c;
  const groups = groupsOf(r, report);
  const virtualServers: VirtualServer[] = [];
  const seen = new Map<string, number>();
  for (const x of r.virtual_server ?? []) {
    const vs = buildVirtualServer(x, groups, c);
    if (!vs) continue;
    const key = JSON.stringify(vs.service);
    const first = seen.get(key);
    if (first !== undefined) {
      report.fault(
        'virtual-server-repeated',
        x.at,
        text(
          `this virtual server is in line ${first} already; it is dropped`,
          `该虚拟服务器已在第 ${first} 行，被丢弃`,
        ),
      );
      continue;
    }
    seen.set(key, x.at.line);
    virtualServers.push(vs);
  }
  const ssl = r.SSL?.at(-1)?.value.values;
  const sync = g.lvs_sync_daemon?.value ?? legacySync(r, c);
  if (sync?.instance !== undefined && !c.instances.has(sync.instance))
    report.fault(
      'sync-daemon-instance',
      g.lvs_sync_daemon?.at,
      text(`there is no vrrp_instance '${sync.instance}'`, `没有 vrrp_instance '${sync.instance}'`),
    );
  return {
    virtualServers,
    groups,
    ...maybe(
      'tls',
      ssl && {
        ...maybe('password', ssl.password?.value),
        ...maybe('ca', ssl.ca?.value),
        ...maybe('certificate', ssl.certificate?.value),
        ...maybe('key', ssl.key?.value),
      },
    ),
    ...maybe('syncDaemon', sync && { ...sync, port: sync.port ?? 8848, group: sync.group ?? DEFAULT_SYNC_GROUP }),
    timeouts: g.lvs_timeouts?.value ?? {},
    flushAtStart: g.lvs_flush !== undefined,
    flushAtStop: g.lvs_flush_on_stop?.value ?? 'no',
    ...maybe(
      'nftables',
      g.nftables_ipvs && {
        table: g.nftables_ipvs.value,
        priority: g.nftables_ipvs_priority?.value ?? 0,
        firstMark: g.nftables_ipvs_start_fwmark?.value ?? 1000,
      },
    ),
    notifyAtStart: g.rs_init_notifies !== undefined,
    noCheckerMails: g.no_checker_emails !== undefined,
    fifos: [...fifoOf(g.notify_fifo, g.notify_fifo_script), ...fifoOf(g.lvs_notify_fifo, g.lvs_notify_fifo_script)],
  };
}

/** The old way to say which instance the sync daemon follows: a word in that instance. */
function legacySync(
  r: RootValues,
  c: DirectorContext,
): NonNullable<GlobalValues['lvs_sync_daemon']>['value'] | undefined {
  const all = (r.vrrp_instance ?? []).filter(
    (x) => x.value.values.lvs_sync_daemon_interface && c.instances.has(x.value.head),
  );
  const [first, second] = all;
  if (second)
    c.report.fault(
      'sync-daemon-repeated',
      second.value.values.lvs_sync_daemon_interface?.keyword,
      text('the kernel has one sync daemon; the first stands', '内核只有一个同步守护进程，以第一个为准'),
    );
  const name = first?.value.values.lvs_sync_daemon_interface?.value;
  return first && name !== undefined ? { interface: name, instance: first.value.head } : undefined;
}

function groupsOf(r: RootValues, report: Report): VirtualServerGroup[] {
  const groups = new Map<string, VirtualServerGroup>();
  for (const { value, at } of r.virtual_server_group ?? []) {
    if (groups.has(value.head)) {
      report.fault(
        'name-repeated',
        at,
        text(`the name '${value.head}' is taken; this block is dropped`, `名称 '${value.head}' 已被使用，丢弃本块`),
      );
      continue;
    }
    groups.set(value.head, { name: value.head, members: value.lines.map((l) => l.value) });
  }
  return [...groups.values()];
}

function serviceOf(
  head: HeadValue,
  at: Got<unknown>['at'],
  v: VirtualValues,
  groups: readonly VirtualServerGroup[],
  report: Report,
): VirtualService | undefined {
  const protocol = (v.protocol?.value.toLowerCase() ?? 'tcp') as Protocol;
  const firstServer = v.real_server?.[0]?.value.head.address ?? v.sorry_server?.value.address;
  const said = v.ip_family && (v.ip_family.value === 'inet6' ? 6 : 4);
  if (head.by === 'fwmark') {
    if (v.protocol)
      report.warn(
        'protocol-fwmark',
        v.protocol.keyword,
        text('a fwmark service takes packets of every protocol', 'fwmark 服务不区分协议'),
        text("leave 'protocol' out", "请删除 'protocol'"),
      );
    const family: Family = said ?? (firstServer === undefined ? 4 : familyOf(firstServer));
    return { by: 'fwmark', mark: head.mark, family };
  }
  if (v.ip_family)
    report.fault(
      'ip-family-unneeded',
      v.ip_family.keyword,
      text('ip_family is for fwmark services', 'ip_family 只用于 fwmark 服务'),
    );
  if (head.by === 'group') {
    if (!groups.some((g) => g.name === head.group)) {
      report.fault(
        'virtual-server-group-unknown',
        at,
        text(
          `there is no virtual_server_group '${head.group}'; it is dropped`,
          `没有 virtual_server_group '${head.group}'，被丢弃`,
        ),
      );
      return undefined;
    }
    return { by: 'group', group: head.group, protocol };
  }
  if (head.port === 0 && v.persistence_timeout === undefined)
    report.fault(
      'port-missing',
      at,
      text('a service on every port must be persistent', '覆盖所有端口的服务必须是持久的'),
      text('give a port, or persistence_timeout', '请给出端口，或 persistence_timeout'),
    );
  return { by: 'address', address: head.address, port: head.port, protocol };
}

function buildVirtualServer(
  x: Got<Nested<HeadValue, ServerWords>>,
  groups: readonly VirtualServerGroup[],
  c: DirectorContext,
): VirtualServer | undefined {
  const { report, global: g } = c;
  const { head, values: v } = x.value;
  const service = serviceOf(head, x.at, v, groups, report);
  if (!service) return undefined;
  const forwarding: Forwarding = v.lvs_method?.value ?? { method: 'nat' };
  const alert = v.smtp_alert?.value ?? g.smtp_alert_checker?.value ?? g.smtp_alert?.value;
  const defaults: CheckDefaults = checkDefaults(v, g);
  const realServers = realServersOf(x, forwarding, defaults, service, c);
  const quorum = v.quorum?.value ?? 1;
  const hysteresis = v.hysteresis?.value ?? 0;
  if (hysteresis >= quorum && v.hysteresis)
    report.fault(
      'hysteresis-quorum',
      v.hysteresis.at,
      text(
        `hysteresis ${hysteresis} is not below quorum ${quorum}; it is left out`,
        `hysteresis ${hysteresis} 不小于 quorum ${quorum}，忽略`,
      ),
    );
  const kept = hysteresis >= quorum ? 0 : hysteresis;
  const total = realServers.reduce((n, s) => n + s.weight, 0);
  if (realServers.length === 0) {
    report.fault(
      'real-server-missing',
      x.at,
      text('this virtual server has no real server; it is dropped', '该虚拟服务器没有真实服务器，被丢弃'),
    );
    return undefined;
  }
  if (!v.protocol && service.by !== 'fwmark')
    report.warn(
      'protocol-missing',
      x.at,
      text('no protocol is given: TCP is taken', '没有 protocol，取 TCP'),
      text(
        "write 'protocol TCP'; keepalived 2.2 would take UDP here",
        "请写 'protocol TCP';keepalived 2.2 在此处会取 UDP",
      ),
    );
  const reach = total < quorum && total > 0 ? total : quorum;
  if (total < quorum + kept)
    report.fault(
      'quorum-unreachable',
      (v.quorum ?? v.hysteresis)?.at ?? x.at,
      text(
        `all real servers together weigh ${total}, less than quorum + hysteresis ${quorum + kept}`,
        `所有真实服务器的权重之和为 ${total}，小于 quorum + hysteresis ${quorum + kept}`,
      ),
    );
  const sorry = v.sorry_server?.value;
  if (!sorry && (v.sorry_server_inhibit || v.sorry_server_lvs_method))
    report.fault(
      'sorry-server-missing',
      (v.sorry_server_inhibit ?? v.sorry_server_lvs_method)?.keyword,
      text('there is no sorry_server', '没有 sorry_server'),
    );
  if (v.persistence_granularity && !v.persistence_timeout)
    report.fault(
      'persistence-off',
      v.persistence_granularity.keyword,
      text(
        'persistence_granularity does nothing without persistence_timeout',
        '没有 persistence_timeout 时 persistence_granularity 不起作用',
      ),
    );
  return {
    service,
    scheduler: v.lvs_sched?.value ?? 'wlc',
    flags: FLAGS.filter((f) => v[f] !== undefined),
    hashed: v.hashed !== undefined,
    onePacket: v.ops !== undefined,
    forwarding,
    ...maybe(
      'persistence',
      v.persistence_timeout && {
        seconds: v.persistence_timeout.value,
        ...maybe('granularity', v.persistence_granularity?.value),
        ...maybe('engine', v.persistence_engine?.value),
      },
    ),
    alpha: v.alpha?.value ?? false,
    omega: v.omega !== undefined,
    haSuspend: v.ha_suspend !== undefined,
    quorum: reach,
    hysteresis: kept >= reach ? 0 : kept,
    ...maybe('quorumUp', v.quorum_up?.value),
    ...maybe('quorumDown', v.quorum_down?.value),
    smtpAlert: alert ?? false,
    ...maybe('snmpName', v.snmp_name?.value),
    ...maybe(
      'sorryServer',
      sorry && {
        ...sorry,
        forwarding: v.sorry_server_lvs_method?.value ?? forwarding,
        inhibitOnFailure: v.sorry_server_inhibit !== undefined,
      },
    ),
    realServers,
  };
}

function realServersOf(
  vs: Got<Nested<HeadValue, ServerWords>>,
  forwarding: Forwarding,
  defaults: CheckDefaults,
  service: VirtualService,
  c: DirectorContext,
): RealServer[] {
  const v = vs.value.values;
  const seen = new Set<string>();
  return (v.real_server ?? []).flatMap((x): RealServer[] => {
    const s = buildRealServer(x, v, forwarding, defaults, service, c);
    const key = `${s.address} ${s.port ?? ''}`;
    if (seen.has(key)) {
      c.report.fault(
        'real-server-repeated',
        x.at,
        text(`the real server ${key} is given twice; this one is dropped`, `真实服务器 ${key} 重复，丢弃本块`),
      );
      return [];
    }
    seen.add(key);
    return [s];
  });
}

function buildRealServer(
  x: Got<Nested<ServerAddress, RealWords>>,
  vs: VirtualValues,
  inherited: Forwarding,
  defaults: CheckDefaults,
  service: VirtualService,
  c: DirectorContext,
): RealServer {
  const { head, values: v } = x.value;
  const forwarding = v.lvs_method?.value ?? inherited;
  if (
    service.by === 'address' &&
    forwarding.method !== 'tunnel' &&
    familyOf(head.address) !== familyOf(service.address)
  )
    c.report.fault(
      'address-family',
      x.at,
      text('only a tunnel leads to a server of the other family', '只有隧道可以到另一协议族的服务器'),
    );
  if (
    service.by === 'address' &&
    forwarding.method === 'direct-routing' &&
    head.port !== undefined &&
    service.port !== 0 &&
    head.port !== service.port
  )
    c.report.warn(
      'port-direct-routing',
      x.at,
      text(
        `direct routing changes no port: packets arrive at ${service.port}, not ${head.port}`,
        `DR 不改变端口:报文到达 ${service.port}，而不是 ${head.port}`,
      ),
    );
  const [low, high] = [v.lthreshold?.value, v.uthreshold?.value];
  if (low !== undefined && high !== undefined && high > 0 && low > high)
    c.report.fault(
      'threshold-order',
      v.lthreshold?.at,
      text('lthreshold is above uthreshold', 'lthreshold 大于 uthreshold'),
    );
  const own = checkDefaults(v, c.global, defaults);
  return {
    address: head.address,
    port: head.port,
    weight: v.weight?.value ?? vs.weight?.value ?? 1,
    forwarding,
    ...maybe('upperThreshold', high),
    ...maybe('lowerThreshold', low),
    inhibitOnFailure: v.inhibit_on_failure?.value ?? vs.inhibit_on_failure?.value ?? false,
    alpha: v.alpha?.value ?? vs.alpha?.value ?? false,
    ...maybe('notifyUp', v.notify_up?.value),
    ...maybe('notifyDown', v.notify_down?.value),
    smtpAlert:
      v.smtp_alert?.value ??
      vs.smtp_alert?.value ??
      c.global.smtp_alert_checker?.value ??
      c.global.smtp_alert?.value ??
      true,
    ...maybe('snmpName', v.snmp_name?.value),
    checkers: buildCheckers(v, own, head, service, c),
  };
}
