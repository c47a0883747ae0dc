import type { BfdInstance } from '../../../bfd/config.ts';
import type { BufferSettings, KeepalivedConfig, ProcessSettings } from '../config.ts';
import { millisecondsText, quoted, secondsText, type Writer } from './writer.ts';

const text = (s: string | undefined): string | undefined => (s === undefined ? undefined : s === '' ? '' : quoted(s));

/** The words that stand outside of blocks. */
export function describeTop(w: Writer, c: KeepalivedConfig): void {
  const g = c.global;
  w.maybe('net_namespace', text(g.netNamespace));
  if (g.ipvsNamespace !== undefined) w.line('net_namespace_ipvs', text(g.ipvsNamespace));
  w.flag('namespace_with_ipsets', g.namespaceWithIpsets);
  w.maybe('instance', text(g.instance));
  w.flag('use_pid_dir', g.usePidDir);
  w.line('child_wait_time', g.childWait / 1_000_000);
  w.flag('linkbeat_use_polling', c.vrrp.linkbeatPolling);
}

function process(w: Writer, part: 'vrrp' | 'checker' | 'bfd', p: ProcessSettings): void {
  w.maybe(`${part}_process_name`, text(p.name));
  w.maybe(`${part}_priority`, p.nice);
  w.maybe(`${part}_rt_priority`, p.realTime);
  w.maybe(`${part}_rlimit_rttime`, p.realTimeLimit);
  w.flag(`${part}_no_swap`, p.noSwap);
  if (p.cpus.length > 0) w.line(`${part}_cpu_affinity`, ...p.cpus);
}
function buffers(w: Writer, word: string, b: BufferSettings): void {
  w.maybe(word, b.bytes);
  w.flag(`${word}_force`, b.force);
}

export function describeGlobal(w: Writer, c: KeepalivedConfig): void {
  const { global: g, vrrp: v, director: d } = c;
  w.block('global_defs', () => {
    w.line('router_id', quoted(v.routerId));
    mail(w, c);
    w.flag('process_names', g.processNames);
    w.maybe('process_name', text(g.processName));
    for (const part of ['vrrp', 'checker', 'bfd'] as const) process(w, part, g.processes[part]);
    for (const [word, s] of [
      ['startup_script', g.startupScript],
      ['shutdown_script', g.shutdownScript],
    ] as const)
      if (s) {
        w.script(word, s.script);
        w.line(`${word}_timeout`, s.timeout / 1_000_000);
      }
    if (v.scriptUser) w.line('script_user', quoted(v.scriptUser.user), text(v.scriptUser.group));
    w.flag('enable_script_security', v.scriptSecurity);
    w.flag('use_symlink_paths', g.useSymlinkPaths);
    w.flag('set_supplementary_groups', v.supplementaryGroups);
    w.line('max_auto_priority', g.maxAutoPriority);
    w.line('min_auto_priority_delay', g.minAutoPriorityDelay);
    if (g.umask !== undefined) w.line('umask', `0${g.umask.toString(8)}`);
    w.maybe('tmp_config_directory', text(g.configDirectory));
    w.maybe('config_save_dir', text(g.saveDirectory));
    if (g.reloadCheckLog !== undefined) w.line('reload_check_config', text(g.reloadCheckLog));
    w.maybe('reload_time_file', text(g.reloadTimeFile));
    w.flag('reload_repeat', g.reloadRepeat);
    if (g.reloadFile !== undefined) w.line('reload_file', text(g.reloadFile));
    w.flag('data_use_instance', g.dataUseInstance);
    w.maybe('state_dump_file', text(g.stateDumpFile));
    w.maybe('stats_dump_file', text(g.statsDumpFile));
    w.maybe('json_dump_file', text(g.jsonDumpFile));
    w.line('json_version', g.jsonVersion);
    vrrpWide(w, c);
    const t = d.timeouts;
    if (Object.keys(t).length > 0) w.line('lvs_timeouts', ...Object.entries(t).flat());
    w.flag('lvs_flush', d.flushAtStart);
    if (d.flushAtStop !== 'no') w.line('lvs_flush_on_stop', d.flushAtStop === 'all' ? undefined : 'VS');
    if (d.nftables) {
      w.line('nftables_ipvs', quoted(d.nftables.table));
      w.line('nftables_ipvs_priority', d.nftables.priority);
      w.line('nftables_ipvs_start_fwmark', d.nftables.firstMark);
    }
    w.flag('rs_init_notifies', d.notifyAtStart);
    w.flag('no_checker_emails', d.noCheckerMails);
    const s = d.syncDaemon;
    if (s)
      w.line(
        'lvs_sync_daemon',
        quoted(s.interface),
        ...(s.instance === undefined ? [] : ['inst', quoted(s.instance)]),
        ...(s.id === undefined ? [] : ['id', s.id]),
        ...(s.maxLength === undefined ? [] : ['maxlen', s.maxLength]),
        'port',
        s.port,
        ...(s.ttl === undefined ? [] : ['ttl', s.ttl]),
        'group',
        s.group,
      );
    snmp(w, c);
  });
}

function mail(w: Writer, { vrrp: { mail: m } }: KeepalivedConfig): void {
  w.list('notification_email', m.to.map(quoted));
  w.line('notification_email_from', quoted(m.from));
  if (m.server) w.line('smtp_server', quoted(m.server.host), m.server.port);
  w.line('smtp_helo_name', quoted(m.helo));
  w.line('smtp_connect_timeout', secondsText(m.connectTimeout));
  w.flag('no_email_faults', !m.onFault);
}

function vrrpWide(w: Writer, { global: g, vrrp: v, director: d }: KeepalivedConfig): void {
  const implied = [
    ...v.statics.addresses,
    ...v.instances.filter((i) => i.interface === undefined).flatMap((i) => [...i.addresses, ...i.excluded]),
  ];
  w.maybe('default_interface', text(implied.find((a) => !a.interfaceGiven)?.interface));
  if (v.dynamicInterfaces !== 'no')
    w.line('dynamic_interfaces', v.dynamicInterfaces === 'yes' ? undefined : 'allow_if_changes');
  w.line('vrrp_garp_interval', secondsText(v.garpInterval));
  w.line('vrrp_gna_interval', secondsText(v.gnaInterval));
  w.flag('vrrp_min_garp', v.minGarp);
  w.line('vrrp_startup_delay', secondsText(v.startupDelay));
  w.line('vrrp_delay_after_boot', secondsText(v.delayAfterBoot));
  w.flag('log_unknown_vrids', v.logUnknownVrids);
  w.maybe('vmac_addr_prefix', text(g.vmacAddressPrefix));
  if (g.iptables) w.line('vrrp_iptables', quoted(g.iptables.input), text(g.iptables.output));
  if (g.ipsets) w.line('vrrp_ipsets', ...g.ipsets.map(quoted));
  if (g.nftables) {
    w.line('nftables', quoted(g.nftables.table));
    w.line('nftables_priority', g.nftables.priority);
    w.flag('nftables_counters', g.nftables.counters);
    w.flag('nftables_ifindex', g.nftables.ifindex);
  }
  w.flag('disable_local_igmp', g.disableLocalIgmp);
  const r = g.receiveBuffers;
  if (r) {
    w.line('vrrp_rx_bufs_policy', typeof r.policy === 'number' ? r.policy : r.policy.toUpperCase());
    w.line('vrrp_rx_bufs_multiplier', r.multiplier);
  }
  buffers(w, 'vrrp_netlink_cmd_rcv_bufs', g.netlinkBuffers.vrrpCommand);
  buffers(w, 'vrrp_netlink_monitor_rcv_bufs', g.netlinkBuffers.vrrpMonitor);
  buffers(w, 'lvs_netlink_cmd_rcv_bufs', g.netlinkBuffers.directorCommand);
  buffers(w, 'lvs_netlink_monitor_rcv_bufs', g.netlinkBuffers.directorMonitor);
  buffers(w, 'process_monitor_rcv_bufs', g.netlinkBuffers.processMonitor);
  const fifos = [
    ['vrrp_notify_fifo', v.fifos.filter((f) => !d.fifos.some((o) => o.path === f.path))],
    ['notify_fifo', v.fifos.filter((f) => d.fifos.some((o) => o.path === f.path))],
    ['lvs_notify_fifo', d.fifos.filter((f) => !v.fifos.some((o) => o.path === f.path))],
  ] as const;
  for (const [word, all] of fifos)
    for (const f of all) {
      w.line(word, quoted(f.path), text(f.user), text(f.group));
      w.script(`${word}_script`, f.script);
    }
  w.flag('fifo_write_vrrp_states_on_reload', v.fifoStatesOnReload);
}

function snmp(w: Writer, { global: g }: KeepalivedConfig): void {
  const s = g.snmp;
  w.maybe('snmp_socket', text(s.socket));
  w.flag('enable_snmp_vrrp', s.vrrp);
  w.flag('enable_snmp_checker', s.checker);
  w.flag('enable_snmp_rfcv2', s.rfcV2);
  w.flag('enable_snmp_rfcv3', s.rfcV3);
  w.flag('enable_traps', s.traps);
  w.line('snmp_vs_stats_update_interval', secondsText(s.virtualServerInterval));
  w.line('snmp_rs_stats_update_interval', secondsText(s.realServerInterval));
  if (g.dbus) {
    w.line('enable_dbus');
    w.line('dbus_service_name', quoted(g.dbus.service));
    w.maybe('dbus_no_interface_name', text(g.dbus.noInterfaceName));
  }
}

export function describeBfd(w: Writer, all: readonly BfdInstance[]): void {
  for (const b of all)
    w.block(`bfd_instance ${quoted(b.name)}`, () => {
      w.line('neighbor_ip', b.neighbour);
      w.maybe('source_ip', b.source);
      w.line('min_rx', millisecondsText(b.minRx));
      w.line('min_tx', millisecondsText(b.minTx));
      w.line('idle_tx', millisecondsText(b.idleTx));
      w.line('multiplier', b.multiplier);
      w.flag('passive', b.passive);
      w.line('ttl', b.ttl);
      w.line('max_hops', b.maxHops);
      w.bool('multihop', b.multihop);
      w.line('weight', b.weight, b.weightReverse ? 'reverse' : undefined);
      w.flag('vrrp', b.tells.vrrp && !b.tells.checkers);
      w.flag('checker', b.tells.checkers && !b.tells.vrrp);
    });
}
