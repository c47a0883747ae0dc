import { type IpAddress, type IpPrefix, text } from '../../../base/index.ts';
import type { ExtraLink, UnicastPeer } from '../../../vrrp/config.ts';
import { addressLine } from './addresses.ts';
import {
  type Args,
  bool,
  flag,
  int,
  interfaceName,
  ip,
  oneOf,
  parsePrefix,
  type Reader,
  script,
  str,
  takeInt,
  takeIp,
  time,
} from './args.ts';
import { extraInterface } from './global.ts';
import { routeLine } from './routes.ts';
import { ruleLine } from './rules.ts';
import { block, lines, nested, word, words } from './spec.ts';
import { trackWords } from './tracks.ts';

/** `ADDR [min_ttl N] [max_ttl N]`. */
const peerLine: Reader<UnicastPeer> = (a) => {
  const address = takeIp(a);
  if (address === undefined) return undefined;
  let peer: UnicastPeer = { address };
  for (;;) {
    const key = a.take('min_ttl', 'max_ttl');
    if (key === undefined) break;
    const n = takeInt(a, { min: 0, max: 255 });
    if (n === undefined) return undefined;
    peer = { ...peer, [key === 'min_ttl' ? 'minTtl' : 'maxTtl']: n };
  }
  if ((peer.minTtl ?? 0) > (peer.maxTtl ?? 255))
    return a.fault('ttl-order', text('min_ttl is above max_ttl', 'min_ttl 大于 max_ttl'));
  return peer;
};

/** `IF [unicast_src_ip ADDR] [unicast_peer ADDR [ADDR ...]]`. */
const linkLine: Reader<ExtraLink> = (a) => {
  const name = interfaceName(a);
  if (name === undefined) return undefined;
  let source: IpAddress | undefined;
  const peers: UnicastPeer[] = [];
  for (;;) {
    const key = a.take('unicast_src_ip', 'unicast_peer');
    if (key === undefined) break;
    do {
      const address = takeIp(a);
      if (address === undefined) return undefined;
      if (key === 'unicast_src_ip') source = address;
      else peers.push({ address });
    } while (key === 'unicast_peer' && a.peek() && a.peek()?.text !== 'unicast_src_ip');
  }
  return { interface: name, peers, ...(source === undefined ? {} : { source }) };
};

export type VmacValue = {
  readonly name?: string;
  readonly mac?: string;
  readonly notify?: boolean;
  readonly group?: number;
};
const takeGroup = (a: Args): number | undefined => takeInt(a, { min: 0, max: 2 ** 31 - 1 });
const MAC = /^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}$/;
/** `[[name] IF] [MAC] [netlink_notify_msg] [group G]`, in any order. */
const useVmac: Reader<VmacValue> = (a) => {
  let v: VmacValue = {};
  while (a.peek()) {
    const typed = a.peek()!.text;
    if (a.take('netlink_notify_msg')) v = { ...v, notify: true };
    else if (a.take('group')) {
      const group = takeGroup(a);
      if (group === undefined) return undefined;
      v = { ...v, group };
    } else if (MAC.test(typed)) {
      a.next();
      const mac = typed
        .toLowerCase()
        .split(':')
        .map((b) => b.padStart(2, '0'))
        .join(':');
      if (Number.parseInt(mac.slice(0, 2), 16) & 1)
        return a.fault('mac-multicast', text(`${typed} is a group address`, `${typed} 是组播地址`));
      v = { ...v, mac };
    } else {
      a.take('name');
      const name = interfaceName(a);
      if (name === undefined) return undefined;
      v = { ...v, name };
    }
  }
  return v;
};
export type IpvlanValue = {
  readonly name?: string;
  readonly address?: IpPrefix;
  readonly mode: 'bridge' | 'private' | 'vepa';
  readonly group?: number;
};
/** `[[name] IF] [ADDR] [bridge|private|vepa] [group G]`, in any order. */
const useIpvlan: Reader<IpvlanValue> = (a) => {
  let v: IpvlanValue = { mode: 'bridge' };
  while (a.peek()) {
    const address = parsePrefix(a.peek()!.text);
    const mode = a.take('bridge', 'private', 'vepa');
    if (mode) v = { ...v, mode };
    else if (address) {
      a.next();
      v = { ...v, address };
    } else if (a.take('group')) {
      const group = takeGroup(a);
      if (group === undefined) return undefined;
      v = { ...v, group };
    } else {
      a.take('name');
      const name = interfaceName(a);
      if (name === undefined) return undefined;
      v = { ...v, name };
    }
  }
  return v;
};

const AUTH_TYPES = { PASS: 'pass', SIMPLE: 'pass', AH: 'ah', NONE: 'none' } as const;
const authentication = block('authentication', {
  auth_type: word((a: Args) => {
    const t = oneOf('PASS', 'AH', 'SIMPLE', 'NONE')(a);
    return t && AUTH_TYPES[t];
  }),
  auth_pass: word(str(text('a password', '密码'))),
});

export type HmacKeyValue = { readonly id: number; readonly source: string };
const authHmac = block('auth_hmac', {
  key: words((a: Args): HmacKeyValue | undefined => {
    const id = takeInt(a, { min: 1, max: 255 });
    const source =
      id === undefined ? undefined : a.need(text('hex:..., file:... or a string', 'hex:...、file:... 或字符串'));
    return id === undefined || !source ? undefined : { id, source: source.text };
  }),
  active_key: word(int(1, 255)),
  anti_replay: word(oneOf('time', 'monotonic')),
  time_window: word(time(1, 300)),
  mode: word(oneOf('enforce', 'permissive', 'receive-only')),
});

const seconds = int(0, 2 ** 31 - 1);
const repeat = int(0, 2 ** 31 - 1);
const nothing = (): true => true;

/** `vrrp_instance NAME`. */
export const vrrpInstance = block(
  'vrrp_instance',
  {
    state: word(oneOf('MASTER', 'BACKUP')),
    interface: word(interfaceName),
    vrf: word(interfaceName),
    virtual_router_id: word(
      int(1, 255, {
        code: 'vrrp-vrid-range',
        hint: text('the VRID is one byte (RFC 9568 section 5.2.3)', 'VRID 只有一个字节（RFC 9568 5.2.3 节）'),
      }),
    ),
    priority: word(
      int(1, 255, {
        code: 'vrrp-priority-range',
        hint: text(
          "1..254 for a backup, 255 only where the address is the interface's own; 0 is sent when stopping",
          '备份用 1..254,255 只用于地址拥有者；0 在停止时发送',
        ),
      }),
    ),
    advert_int: word(
      time(0.01, 255, {
        code: 'vrrp-advert-int-range',
        hint: text(
          'version 2: whole seconds 1..255; version 3: 0.01..40.95 s',
          '版本 2 为 1..255 的整秒，版本 3 为 0.01..40.95 秒',
        ),
      }),
    ),
    version: word(int(2, 3)),
    native_ipv6: word(flag, { deprecated: text('leave it out', '请删除此行') }),
    authentication: nested(authentication, nothing),
    auth_hmac: nested(authHmac, nothing, { since: '2.4' }),
    virtual_ipaddress: lines(addressLine),
    virtual_ipaddress_excluded: lines(addressLine),
    no_virtual_ipaddress: word(flag, { since: '2.3.0' }),
    promote_secondaries: word(flag),
    virtual_routes: lines(routeLine),
    virtual_rules: lines(ruleLine),
    use_vmac: word(useVmac),
    use_vmac_addr: word(flag),
    vmac_xmit_base: word(flag),
    use_ipvlan: word(useIpvlan),
    unicast_peer: lines(peerLine),
    unicast_src_ip: word(ip()),
    mcast_src_ip: word(ip()),
    unicast_ttl: word(int(0, 255)),
    unicast_fault_no_peer: word(flag),
    check_unicast_src: word(bool),
    old_unicast_checksum: word((a: Args) => (a.take('never') ? ('never' as const) : ('always' as const))),
    v3_checksum_as_v2: word(bool, { since: '2.3.0' }),
    mcast_dst_ip: word(ip()),
    track_src_ip: word(flag),
    links: lines(linkLine, { since: 'holdfast' }),
    dont_track_primary: word(flag),
    ...trackWords,
    nopreempt: word(flag),
    preempt: word(flag),
    preempt_delay: word(time(0, 1000)),
    accept: word(flag),
    no_accept: word(flag),
    skip_check_adv_addr: word(bool),
    strict_mode: word(bool),
    garp_master_delay: word(seconds),
    garp_master_repeat: word(repeat),
    garp_master_refresh: word(seconds),
    garp_master_refresh_repeat: word(repeat),
    garp_lower_prio_delay: word(seconds),
    garp_lower_prio_repeat: word(repeat),
    garp_extra_if: word(extraInterface),
    down_timer_adverts: word(int(1, 100)),
    timer_expired_backup: word((a: Args) => (a.peek() ? takeInt(a, { min: 1, max: 254 }) : 1), { since: '2.3.0' }),
    lower_prio_no_advert: word(bool),
    higher_prio_send_advert: word(bool),
    owner_ignore_adverts: word(bool, { since: '2.3.4' }),
    kernel_rx_buf_size: word(int(1, 2 ** 31 - 1)),
    notify_master: word(script),
    notify_backup: word(script),
    notify_fault: word(script),
    notify_stop: word(script),
    /** Without a script, only the state in the other notifications changes. */
    notify_deleted: word((a: Args) => (a.peek() ? script(a) : ('state-only' as const))),
    notify: word(script),
    notify_master_rx_lower_pri: word(script),
    notify_priority_changes: word(bool),
    smtp_alert: word(bool),
    lvs_sync_daemon_interface: word(interfaceName, {
      deprecated: text(
        "write 'lvs_sync_daemon IF INSTANCE' in global_defs",
        "请在 global_defs 中写 'lvs_sync_daemon IF INSTANCE'",
      ),
    }),
    linkbeat_use_polling: word(flag, {
      deprecated: text('write a linkbeat_interfaces block', '请改用 linkbeat_interfaces 块'),
    }),
    debug: word(int(0, 4)),
  },
  {
    vmac_garp_intvl: { of: 'garp_extra_if', deprecated: text("write 'garp_extra_if'", "请改写为 'garp_extra_if'") },
    thread_timer_expired: { of: 'timer_expired_backup', since: '2.3.4' },
  },
);
