import { type IpAddress, text } from '../../../base/index.ts';
import { wholeNumber } from '../text/numbers.ts';
import {
  type Args,
  bool,
  flag,
  int,
  interfaceName,
  ip,
  NAME,
  oneOf,
  PATH,
  type Reader,
  script,
  str,
  takeInt,
  takeIp,
  takeUser,
  time,
  userAndGroup,
} from './args.ts';
import { block, names, type Options, word } from './spec.ts';

const instead = (w: string): Options => ({ deprecated: text(`write '${w}'`, `请改写为 '${w}'`) });
const optional =
  <T>(read: Reader<T>, absent: T): Reader<T> =>
  (a) =>
    a.peek() ? read(a) : absent;
/** Several words, at least one. */
const cpus: Reader<readonly number[]> = (a) => {
  const out: number[] = [];
  do {
    const n = takeInt(a, { min: 0, max: 1023 });
    if (n === undefined) return undefined;
    out.push(n);
  } while (a.peek());
  return out;
};
export type FifoValue = { readonly path: string; readonly user?: string; readonly group?: string };
const fifo: Reader<FifoValue> = (a) => {
  const path = a.need(PATH)?.text;
  return path === undefined ? undefined : { path, ...takeUser(a) };
};
/** `[all] SECONDS`. */
export const extraInterface: Reader<{ readonly all: boolean; readonly seconds: number }> = (a) => {
  const all = a.take('all') !== undefined;
  const seconds = takeInt(a, { min: 1, max: 86400 });
  return seconds === undefined ? undefined : { all, seconds };
};
const server: Reader<{ readonly host: string; readonly port: number }> = (a) => {
  const host = a.need(text('a host name or address', '主机名或地址'))?.text;
  if (host === undefined) return undefined;
  const port = a.peek() ? takeInt(a, { min: 1, max: 65535 }) : 25;
  return port === undefined ? undefined : { host, port };
};
export type SyncDaemonValue = {
  readonly interface: string;
  readonly instance?: string;
  readonly id?: number;
  readonly maxLength?: number;
  readonly port?: number;
  readonly ttl?: number;
  readonly group?: IpAddress;
};
const SYNC_WORDS = ['id', 'maxlen', 'port', 'ttl', 'group'] as const;
const syncDaemon: Reader<SyncDaemonValue> = (a) => {
  const name = interfaceName(a);
  if (name === undefined) return undefined;
  let v: SyncDaemonValue = { interface: name };
  if (a.take('inst') || (a.peek() && !SYNC_WORDS.some((w) => w === a.peek()?.text))) {
    const inst = a.need(text('an instance', '实例名'));
    if (!inst) return undefined;
    v = { ...v, instance: inst.text };
  }
  for (;;) {
    const key = a.take(...SYNC_WORDS);
    if (key === undefined) return v;
    if (key === 'group') {
      const group = takeIp(a);
      if (group === undefined) return undefined;
      v = { ...v, group };
      continue;
    }
    const [min, max] = ({ id: [0, 255], maxlen: [1, 65507], port: [1, 65535], ttl: [1, 255] } as const)[key];
    const n = takeInt(a, { min, max });
    if (n === undefined) return undefined;
    v = { ...v, [key === 'maxlen' ? 'maxLength' : key]: n };
  }
};
export type TimeoutsValue = { readonly tcp?: number; readonly tcpfin?: number; readonly udp?: number };
const timeouts: Reader<TimeoutsValue> = (a) => {
  let v: TimeoutsValue = {};
  for (;;) {
    const key = a.take('tcp', 'tcpfin', 'udp');
    if (key === undefined) break;
    const n = takeInt(a, { min: 1, max: 2_147_483 });
    if (n === undefined) return undefined;
    v = { ...v, [key]: n };
  }
  if (Object.keys(v).length > 0) return v;
  a.need(text('tcp, tcpfin or udp with seconds', 'tcp、tcpfin 或 udp 加秒数'));
  return undefined;
};
const UMASK_BITS: Readonly<Record<string, number>> = {
  IRUSR: 0o400,
  IWUSR: 0o200,
  IXUSR: 0o100,
  IRGRP: 0o040,
  IWGRP: 0o020,
  IXGRP: 0o010,
  IROTH: 0o004,
  IWOTH: 0o002,
  IXOTH: 0o001,
};
/** Octal with a leading zero, or `IWGRP | IWOTH`. */
const umask: Reader<number> = (a) => {
  const first = a.need(text('a mask', '掩码'));
  if (!first) return undefined;
  const all = [first, ...a.rest()].map((w) => w.text).join('');
  const n = /^0[0-7]*$/.test(all) ? Number.parseInt(all, 8) : wholeNumber(all);
  if (n !== undefined && n >= 0 && n <= 0o777) return n;
  const bits = all.split('|').map((b) => UMASK_BITS[b.toUpperCase().replace(/^S_/, '')]);
  if (n === undefined && bits.every((b) => b !== undefined)) return bits.reduce((x, b) => x | b, 0);
  return a.fault(
    'umask-invalid',
    text(`'${all}' is not a mask 0..0777`, `'${all}' 不是 0..0777 的掩码`),
    text('octal such as 022, or names: IWGRP | IWOTH', '八进制数如 022，或 IWGRP | IWOTH 等名称'),
  );
};
const CHECKS = ['readable', 'match', 'wildcard_match', 'brace_match'] as const;
/** `[+|-]CHECK ...`; none = all. What it does is done while includes are read; here the words are checked. */
const includeCheck: Reader<readonly string[]> = (a) => {
  const out: string[] = [];
  for (let w = a.next(); w; w = a.next()) {
    if (!CHECKS.some((c) => c === w.text.replace(/^[+-]/, '')))
      return a.fault(
        'choice-invalid',
        text(`'${w.text}' is not an include check`, `'${w.text}' 不是包含检查的名称`),
        text(CHECKS.join(', '), CHECKS.join('、')),
      );
    out.push(w.text);
  }
  return out;
};
const rxPolicy: Reader<'MTU' | 'ADVERT' | number> = (a) => {
  const w = a.peek();
  return w && /^\d/.test(w.text) ? takeInt(a, { min: 1, max: 2 ** 31 - 1 }) : oneOf('MTU', 'ADVERT')(a);
};
const upTo =
  (most: number): Reader<readonly string[]> =>
  (a) => {
    const all = a.rest().map((w) => w.text);
    return all.length <= most ? all : a.fault('words-left-over', text(`at most ${most} names`, `最多 ${most} 个名称`));
  };

const buffers = int(1, 2 ** 31 - 1);
const nice = int(-20, 19);
const realTime = int(1, 99);
const rttime = int(1, 2 ** 31 - 1);
const count = int(0, 2 ** 31 - 1);
const wholeSeconds = int(0, 2 ** 31 - 1);
const NO_SWAP = word(flag);

/** `global_defs`. */
export const globalDefs = block(
  'global_defs',
  {
    // mail and identity
    router_id: word(str(NAME)),
    notification_email: names(),
    notification_email_from: word(str(text('an address', '邮件地址'))),
    smtp_server: word(server),
    smtp_helo_name: word(str(NAME)),
    smtp_connect_timeout: word(time(0.000001, 4294)),
    smtp_alert: word(bool),
    smtp_alert_vrrp: word(bool),
    smtp_alert_checker: word(bool),
    no_email_faults: word(flag),
    no_checker_emails: word(flag),
    checker_log_all_failures: word(bool),

    // processes
    process_names: word(flag),
    process_name: word(str(NAME)),
    vrrp_process_name: word(str(NAME)),
    checker_process_name: word(str(NAME)),
    bfd_process_name: word(str(NAME)),
    startup_script: word(script),
    shutdown_script: word(script),
    startup_script_timeout: word(int(1, 1000)),
    shutdown_script_timeout: word(int(1, 1000)),
    script_user: word(userAndGroup),
    enable_script_security: word(flag),
    use_symlink_paths: word(bool, { since: '2.3.0' }),
    set_supplementary_groups: word(flag, { since: '2.4' }),
    max_auto_priority: word(optional(int(-1, 99), 0)),
    min_auto_priority_delay: word(int(1, 10_000_000)),
    vrrp_priority: word(nice),
    checker_priority: word(nice),
    bfd_priority: word(nice),
    vrrp_rt_priority: word(realTime),
    checker_rt_priority: word(realTime),
    bfd_rt_priority: word(realTime),
    vrrp_rlimit_rttime: word(rttime),
    checker_rlimit_rttime: word(rttime),
    bfd_rlimit_rttime: word(rttime),
    vrrp_no_swap: NO_SWAP,
    checker_no_swap: NO_SWAP,
    bfd_no_swap: NO_SWAP,
    vrrp_cpu_affinity: word(cpus),
    checker_cpu_affinity: word(cpus),
    bfd_cpu_affinity: word(cpus),
    umask: word(umask),
    tmp_config_directory: word(str(PATH)),
    config_save_dir: word(str(PATH)),
    reload_check_config: word(optional<string>(str(PATH), '')),
    reload_time_file: word(str(PATH)),
    reload_repeat: word(flag),
    reload_file: word(optional<string>(str(PATH), '')),
    include_check: word(includeCheck),
    random_seed: word(int(0, 2 ** 32 - 1)),
    data_use_instance: word(bool),
    state_dump_file: word(str(PATH)),
    stats_dump_file: word(str(PATH)),
    json_dump_file: word(str(PATH), { since: '2.3.4' }),
    json_version: word(int(1, 2), { since: '2.3.0' }),
    iproute_usr_dir: word(str(PATH), { since: '2.3.4' }),
    iproute_etc_dir: word(str(PATH), { since: '2.3.4' }),

    // VRRP
    vrrp_version: word(int(2, 3)),
    vrrp_mcast_group4: word(ip(4)),
    vrrp_mcast_group6: word(ip(6)),
    default_interface: word(interfaceName),
    dynamic_interfaces: word((a: Args) => (a.take('allow_if_changes') ? ('may-change' as const) : ('yes' as const))),
    vrrp_garp_master_delay: word(wholeSeconds),
    vrrp_garp_master_repeat: word(count),
    vrrp_garp_master_refresh: word(wholeSeconds),
    vrrp_garp_master_refresh_repeat: word(count),
    vrrp_garp_lower_prio_delay: word(wholeSeconds),
    vrrp_garp_lower_prio_repeat: word(count),
    vrrp_garp_interval: word(time(0, 1_000_000)),
    vrrp_gna_interval: word(time(0, 1_000_000)),
    vrrp_min_garp: word(bool),
    vrrp_garp_extra_if: word(extraInterface),
    vrrp_down_timer_adverts: word(int(1, 100)),
    vrrp_lower_prio_no_advert: word(bool),
    vrrp_higher_prio_send_advert: word(bool),
    vrrp_owner_ignore_adverts: word(bool, { since: '2.3.4' }),
    v3_checksum_as_v2: word(bool, { since: '2.3.0' }),
    vrrp_check_unicast_src: word(bool),
    vrrp_skip_check_adv_addr: word(bool),
    vrrp_strict: word(bool),
    vrrp_startup_delay: word(time(0, 4294)),
    vrrp_delay_after_boot: word(time(0, 4294), { since: '2.4' }),
    log_unknown_vrids: word(flag),
    vmac_prefix: word(str(NAME)),
    vmac_addr_prefix: word(str(NAME)),
    vrrp_iptables: word(upTo(2)),
    vrrp_ipsets: word(upTo(6)),
    nftables: word(optional<string>(str(NAME), 'keepalived')),
    nftables_priority: word(int(-(2 ** 31), 2 ** 31 - 1)),
    nftables_counters: word(flag),
    nftables_ifindex: word(flag),
    disable_local_igmp: word(flag),
    vrrp_rx_bufs_policy: word(rxPolicy),
    vrrp_rx_bufs_multiplier: word(int(1, 65535)),
    vrrp_netlink_cmd_rcv_bufs: word(buffers),
    vrrp_netlink_monitor_rcv_bufs: word(buffers),
    vrrp_netlink_cmd_rcv_bufs_force: word(bool),
    vrrp_netlink_monitor_rcv_bufs_force: word(bool),
    process_monitor_rcv_bufs: word(buffers),
    process_monitor_rcv_bufs_force: word(bool),
    vrrp_notify_priority_changes: word(bool),
    notify_fifo: word(fifo),
    vrrp_notify_fifo: word(fifo),
    lvs_notify_fifo: word(fifo),
    notify_fifo_script: word(script),
    vrrp_notify_fifo_script: word(script),
    lvs_notify_fifo_script: word(script),
    fifo_write_vrrp_states_on_reload: word(flag),

    // IPVS
    lvs_sync_daemon: word(syncDaemon),
    lvs_timeouts: word(timeouts),
    lvs_flush: word(flag),
    lvs_flush_on_stop: word((a: Args) => (a.take('VS') ? ('virtual-servers' as const) : ('all' as const))),
    nftables_ipvs: word(optional<string>(str(NAME), 'keepalived_ipvs')),
    nftables_ipvs_priority: word(int(-(2 ** 31), 2 ** 31 - 1)),
    nftables_ipvs_start_fwmark: word(int(1, 2 ** 32 - 1)),
    lvs_netlink_cmd_rcv_bufs: word(buffers),
    lvs_netlink_monitor_rcv_bufs: word(buffers),
    lvs_netlink_cmd_rcv_bufs_force: word(bool),
    lvs_netlink_monitor_rcv_bufs_force: word(bool),
    rs_init_notifies: word(flag),

    // SNMP and D-Bus
    snmp_socket: word(str(text('an agentx address', 'agentx 地址'))),
    enable_snmp_vrrp: word(flag),
    enable_snmp_checker: word(flag),
    enable_snmp_rfc: word(flag),
    enable_snmp_rfcv2: word(flag),
    enable_snmp_rfcv3: word(flag),
    enable_traps: word(flag),
    snmp_vs_stats_update_interval: word(time(0.001, 30), { since: '2.3.0' }),
    snmp_rs_stats_update_interval: word(time(0.001, 30), { since: '2.3.0' }),
    enable_dbus: word(flag),
    dbus_service_name: word(str(NAME)),
    dbus_no_interface_name: word(str(NAME), { since: '2.3.0' }),
  },
  {
    lvs_process_name: { of: 'checker_process_name', ...instead('checker_process_name') },
    vrrp_rlimit_rtime: { of: 'vrrp_rlimit_rttime', ...instead('vrrp_rlimit_rttime') },
    checker_rlimit_rtime: { of: 'checker_rlimit_rttime', ...instead('checker_rlimit_rttime') },
    bfd_rlimit_rtime: { of: 'bfd_rlimit_rttime', ...instead('bfd_rlimit_rttime') },
    vrrp_vmac_garp_intvl: { of: 'vrrp_garp_extra_if', ...instead('vrrp_garp_extra_if') },
    lvs_flush_onstop: { of: 'lvs_flush_on_stop', ...instead('lvs_flush_on_stop') },
    enable_snmp_keepalived: { of: 'enable_snmp_vrrp', ...instead('enable_snmp_vrrp') },
  },
);
