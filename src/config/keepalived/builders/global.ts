import { seconds, text, us } from '../../../base/index.ts';
import type { BufferSettings, GlobalConfig, ProcessSettings } from '../config.ts';
import type { Report } from '../report.ts';
import { type GlobalValues, maybe } from './values.ts';
import type { RootValues } from './vrrp.ts';

type Part = 'vrrp' | 'checker' | 'bfd';

function processOf(g: GlobalValues, part: Part): ProcessSettings {
  const limit = g[`${part}_rlimit_rttime`]?.value;
  return {
    ...maybe('name', g[`${part}_process_name`]?.value),
    ...maybe('nice', g[`${part}_priority`]?.value),
    ...maybe('realTime', g[`${part}_rt_priority`]?.value),
    ...maybe('realTimeLimit', limit === undefined ? undefined : us(limit)),
    noSwap: g[`${part}_no_swap`] !== undefined,
    cpus: g[`${part}_cpu_affinity`]?.value ?? [],
  };
}
const buffer = (bytes: number | undefined, force: boolean | undefined): BufferSettings => ({
  ...maybe('bytes', bytes),
  force: force ?? false,
});

/** What belongs to no part. */
export function buildGlobal(r: RootValues, g: GlobalValues, report: Report): GlobalConfig {
  const rfc = g.enable_snmp_rfc !== undefined;
  const [input, output] = g.vrrp_iptables?.value ?? [];
  const policy = g.vrrp_rx_bufs_policy?.value;
  const ten = 10;
  if (g.reload_repeat && !g.reload_time_file)
    report.warn(
      'reload-repeat-alone',
      g.reload_repeat.keyword,
      text('reload_repeat does nothing without reload_time_file', '没有 reload_time_file 时 reload_repeat 不起作用'),
    );
  for (const f of [g.reload_time_file, g.reload_file])
    if (f && f.value !== '' && !f.value.startsWith('/'))
      report.fault('path-relative', f.at, text(`'${f.value}' is not an absolute path`, `'${f.value}' 不是绝对路径`));
  return {
    ...maybe('netNamespace', r.net_namespace?.value),
    ...maybe('ipvsNamespace', r.net_namespace_ipvs?.value),
    namespaceWithIpsets: r.namespace_with_ipsets !== undefined,
    ...maybe('instance', r.instance?.value),
    usePidDir: r.use_pid_dir !== undefined,
    childWait: seconds(r.child_wait_time?.value ?? 5),
    processNames: g.process_names !== undefined,
    ...maybe('processName', g.process_name?.value),
    processes: { vrrp: processOf(g, 'vrrp'), checker: processOf(g, 'checker'), bfd: processOf(g, 'bfd') },
    ...maybe(
      'startupScript',
      g.startup_script && { script: g.startup_script.value, timeout: seconds(g.startup_script_timeout?.value ?? ten) },
    ),
    ...maybe(
      'shutdownScript',
      g.shutdown_script && {
        script: g.shutdown_script.value,
        timeout: seconds(g.shutdown_script_timeout?.value ?? ten),
      },
    ),
    useSymlinkPaths: g.use_symlink_paths?.value ?? false,
    maxAutoPriority: g.max_auto_priority?.value ?? 0,
    minAutoPriorityDelay: us(g.min_auto_priority_delay?.value ?? 1_000_000),
    ...maybe('umask', g.umask?.value),
    ...maybe('configDirectory', g.tmp_config_directory?.value),
    ...maybe('saveDirectory', g.config_save_dir?.value),
    ...maybe('reloadCheckLog', g.reload_check_config?.value),
    ...maybe('reloadTimeFile', g.reload_time_file?.value),
    reloadRepeat: g.reload_repeat !== undefined,
    ...maybe('reloadFile', g.reload_file?.value),
    dataUseInstance: g.data_use_instance?.value ?? false,
    ...maybe('stateDumpFile', g.state_dump_file?.value),
    ...maybe('statsDumpFile', g.stats_dump_file?.value),
    ...maybe('jsonDumpFile', g.json_dump_file?.value),
    jsonVersion: g.json_version?.value === 2 ? 2 : 1,
    ...maybe('iptables', g.vrrp_iptables && { input: input ?? 'INPUT', ...maybe('output', output) }),
    ...maybe('ipsets', g.vrrp_ipsets?.value),
    ...maybe(
      'nftables',
      g.nftables && {
        table: g.nftables.value,
        priority: g.nftables_priority?.value ?? -1,
        counters: g.nftables_counters !== undefined,
        ifindex: g.nftables_ifindex !== undefined,
      },
    ),
    disableLocalIgmp: g.disable_local_igmp !== undefined,
    ...maybe('vmacAddressPrefix', g.vmac_addr_prefix?.value),
    ...maybe(
      'receiveBuffers',
      policy === undefined
        ? undefined
        : {
            policy: typeof policy === 'number' ? policy : policy === 'MTU' ? ('mtu' as const) : ('advert' as const),
            multiplier: g.vrrp_rx_bufs_multiplier?.value ?? 3,
          },
    ),
    netlinkBuffers: {
      vrrpCommand: buffer(g.vrrp_netlink_cmd_rcv_bufs?.value, g.vrrp_netlink_cmd_rcv_bufs_force?.value),
      vrrpMonitor: buffer(g.vrrp_netlink_monitor_rcv_bufs?.value, g.vrrp_netlink_monitor_rcv_bufs_force?.value),
      directorCommand: buffer(g.lvs_netlink_cmd_rcv_bufs?.value, g.lvs_netlink_cmd_rcv_bufs_force?.value),
      directorMonitor: buffer(g.lvs_netlink_monitor_rcv_bufs?.value, g.lvs_netlink_monitor_rcv_bufs_force?.value),
      processMonitor: buffer(g.process_monitor_rcv_bufs?.value, g.process_monitor_rcv_bufs_force?.value),
    },
    snmp: {
      ...maybe('socket', g.snmp_socket?.value),
      vrrp: g.enable_snmp_vrrp !== undefined,
      checker: g.enable_snmp_checker !== undefined,
      rfcV2: rfc || g.enable_snmp_rfcv2 !== undefined,
      rfcV3: rfc || g.enable_snmp_rfcv3 !== undefined,
      traps: g.enable_traps !== undefined,
      virtualServerInterval: g.snmp_vs_stats_update_interval?.value ?? seconds(5),
      realServerInterval: g.snmp_rs_stats_update_interval?.value ?? seconds(5),
    },
    ...maybe(
      'dbus',
      g.enable_dbus && {
        service: g.dbus_service_name?.value ?? 'org.keepalived.Vrrp1',
        ...maybe('noInterfaceName', g.dbus_no_interface_name?.value),
      },
    ),
  };
}
