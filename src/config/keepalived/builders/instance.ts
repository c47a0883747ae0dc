import {
  type Family,
  familyOf,
  type IpAddress,
  type Microseconds,
  type Place,
  seconds,
  text,
  us,
} from '../../../base/index.ts';
import type { Garp, Instance, NotifyScripts, WantedAddress } from '../../../vrrp/config.ts';
import type { Report } from '../report.ts';
import { buildAuthentication, buildHmac, type ReadKey } from './auth.ts';
import { buildAddresses, buildRoutes, familyOfAddress, type RulePreferences } from './objects.ts';
import { groupOf, type ReachContext, sourceOf, unicastOf, vmacOf, xmitBaseOf } from './reach.ts';
import { applyStrict } from './strict.ts';
import { buildTracks, type Trackable } from './tracks.ts';
import { flat, type GlobalValues, type InstanceValues, maybe } from './values.ts';

export type InstanceContext = ReachContext & {
  readonly trackable: Trackable;
  readonly preferences: RulePreferences;
  readonly readKey: ReadKey;
};

/** The count is one byte. */
const MOST_TOLD = 255;

/** One `vrrp_instance`, whole; undefined where what it lacks leaves nothing to run (keepalived drops it then). */
export function buildInstance(
  name: string,
  keyword: Place,
  v: InstanceValues,
  refused: ReadonlySet<string>,
  c: InstanceContext,
): Instance | undefined {
  const { report, global: g } = c;
  const told = (word: string): boolean => refused.has(word) && !report.lenient;
  // What is missing does not end the reading of the instance: all errors are told at once.
  const vrid = v.virtual_router_id?.value;
  if (vrid === undefined && !told('virtual_router_id'))
    report.fault(
      'vrrp-vrid-missing',
      keyword,
      text(
        `${name}: virtual_router_id is not set; the instance is dropped`,
        `${name}：没有设置 virtual_router_id，该实例被丢弃`,
      ),
      text('a number 1..255, the same on all hosts of this virtual router', '1..255，同一虚拟路由器的各主机上相同'),
    );
  const source = sourceOf(v, name, report);
  const placed = v.interface !== undefined || source !== undefined;
  if (!placed && !told('interface') && !told('unicast_src_ip'))
    report.fault(
      'vrrp-interface-missing',
      keyword,
      text(`${name}: interface is not set; the instance is dropped`, `${name}：没有设置 interface，该实例被丢弃`),
      text('only unicast with unicast_src_ip may do without', '只有配置了 unicast_src_ip 的单播可以省略'),
    );
  const onInterface = v.interface?.value ?? g.default_interface?.value ?? 'eth0';
  const seen = new Map<string, Place>();
  const all = buildAddresses(flat(v.virtual_ipaddress), onInterface, seen, report);
  const family: Family = all[0] ? familyOfAddress(all[0]) : familyWithout(v, source);
  const { version, advertInterval } = versionAndInterval(v, family, name, c);
  const kept = splitAddresses(all, family, v, name, report);
  const excluded = [...kept.excluded, ...buildAddresses(flat(v.virtual_ipaddress_excluded), onInterface, seen, report)];
  if (all.length === 0 && !v.no_virtual_ipaddress)
    report.warn(
      'vrrp-no-address',
      keyword,
      text(`${name} has no virtual address`, `${name} 没有虚拟地址`),
      text(
        "add one, or 'no_virtual_ipaddress' to say that this is meant",
        "请添加,或用 'no_virtual_ipaddress' 表明这是有意的",
      ),
    );
  const rank = rankOf(v, name, report);
  const preemption = preemptionOf(v, rank, name, report);
  const unicast = unicastOf(v, family, source, name, report);
  const authentication = authenticationOf(v, rank, name, version, report);
  const hmac = buildHmac(v, name, advertInterval, c.readKey, report);
  const vmac = vmacOf(v, family, name, unicast.peers !== undefined, c);
  if (v.accept && v.no_accept)
    report.fault(
      'vrrp-accept-both',
      v.no_accept.keyword,
      text(`${name}: accept and no_accept`, `${name}：同时有 accept 和 no_accept`),
    );
  if (v.vrf && v.interface)
    report.fault(
      'vrrp-vrf-interface',
      v.vrf.keyword,
      text(
        `${name}: vrf is for unicast without an interface; it is left out`,
        `${name}:vrf 只用于没有 interface 的单播，忽略`,
      ),
    );
  const strict = v.strict_mode?.value ?? g.vrrp_strict?.value ?? false;

  const instance: Instance = {
    name,
    interface: v.interface?.value,
    ...maybe('vrf', v.interface ? undefined : v.vrf?.value),
    virtualRouterId: vrid ?? 0,
    version,
    family,
    priority: rank.priority,
    wantsMaster: rank.wantsMaster && authentication.type !== 'ah',
    advertInterval,
    downTimerAdverts: v.down_timer_adverts?.value ?? g.vrrp_down_timer_adverts?.value ?? 3,
    preempt: preemption.preempt,
    preemptDelay: preemption.delay,
    authentication,
    ...maybe('hmac', hmac),
    addresses: kept.addresses,
    excluded,
    routes: buildRoutes(flat(v.virtual_routes), report),
    rules: c.preferences.build(flat(v.virtual_rules), report),
    unicastPeers: unicast.peers,
    ...maybe('unicastTtl', v.unicast_ttl?.value),
    faultWithoutPeer: v.unicast_fault_no_peer !== undefined,
    ...maybe('source', source !== undefined && familyOf(source) === family ? source : undefined),
    multicastGroup: groupOf(v, family, c),
    checkUnicastSource: v.check_unicast_src?.value ?? g.vrrp_check_unicast_src?.value ?? false,
    trackSourceAddress: v.track_src_ip !== undefined,
    oldUnicastChecksum: v.old_unicast_checksum?.value ?? 'auto',
    v3ChecksumAsV2: v.v3_checksum_as_v2?.value ?? g.v3_checksum_as_v2?.value ?? false,
    links: flat(v.links).flatMap(({ value, at }) => {
      const strange = [value.source, ...value.peers.map((p) => p.address)].find(
        (x) => x !== undefined && familyOf(x) !== family,
      );
      if (strange === undefined) return [value];
      report.fault(
        'address-family',
        at,
        text(
          `${strange} is not an IPv${family} address as ${name}'s are`,
          `${strange} 不是 IPv${family} 地址，与 ${name} 不符`,
        ),
      );
      return [];
    }),
    ...maybe('vmac', vmac),
    vmacForAddresses: v.use_vmac_addr !== undefined,
    vmacXmitBase: xmitBaseOf(v, vmac, unicast.peers !== undefined, name, report),
    promoteSecondaries: v.promote_secondaries !== undefined,
    tracks: buildTracks(v, c.trackable, report),
    trackPrimary: v.dont_track_primary === undefined,
    accept: v.no_accept === undefined && (v.accept !== undefined || !strict || rank.priority === 255),
    strict,
    skipCheckAdvAddr: v.skip_check_adv_addr?.value ?? g.vrrp_skip_check_adv_addr?.value ?? false,
    garp: garpOf(v, g),
    ...maybe('timerExpiredBackup', v.timer_expired_backup?.value),
    lowerPrioNoAdvert: v.lower_prio_no_advert?.value ?? g.vrrp_lower_prio_no_advert?.value ?? strict,
    // On unless said otherwise, against keepalived: the winner then hears the loser and announces the address again.
    higherPrioSendAdvert: v.higher_prio_send_advert?.value ?? g.vrrp_higher_prio_send_advert?.value ?? !strict,
    ownerIgnoreAdverts: v.owner_ignore_adverts?.value ?? g.vrrp_owner_ignore_adverts?.value ?? strict,
    ...maybe('receiveBuffer', v.kernel_rx_buf_size?.value),
    notify: notifyOf(v),
    notifyPriorityChanges: v.notify_priority_changes?.value ?? g.vrrp_notify_priority_changes?.value ?? false,
    smtpAlert: v.smtp_alert?.value ?? g.smtp_alert_vrrp?.value ?? g.smtp_alert?.value ?? false,
  };
  const whole = strict ? applyStrict(instance, v, keyword, report) : instance;
  return vrid === undefined || !placed ? undefined : whole;
}

/** RFC 5798 counts hundredths in 12 bits, RFC 3768 whole seconds in 8. */
function versionAndInterval(
  v: InstanceValues,
  family: Family,
  name: string,
  c: InstanceContext,
): { readonly version: 2 | 3; readonly advertInterval: Microseconds } {
  let version = (v.version?.value ?? (family === 6 ? 3 : (c.global.vrrp_version?.value ?? 2))) as 2 | 3;
  if (version === 2 && family === 6) {
    c.report.fault('vrrp-v2-ipv6', v.version?.at, text(`${name}: IPv6 needs version 3`, `${name}:IPv6 需要版本 3`));
    version = 3;
  }
  const got = v.advert_int;
  const asked = got?.value ?? seconds(1);
  if (version === 2) {
    const whole = seconds(Math.max(1, Math.round(asked / 1e6)));
    if (whole !== asked && got)
      c.report.fault(
        'vrrp-advert-int-fraction',
        got.at,
        text(
          `${name}: version 2 counts whole seconds; ${whole / 1e6} is taken`,
          `${name}：版本 2 只能用整秒，取 ${whole / 1e6}`,
        ),
        text("for less than a second add 'version 3', on all hosts", "不足一秒请加 'version 3',各主机都要加"),
      );
    return { version, advertInterval: whole };
  }
  const step = us(Math.round(asked / 10_000) * 10_000);
  if (step > 40_950_000) {
    c.report.fault(
      'vrrp-advert-int-range',
      got?.at,
      text(`${name}: version 3 counts up to 40.95 s, which is taken`, `${name}：版本 3 最大 40.95 秒，取 40.95`),
    );
    return { version, advertInterval: seconds(40.95) };
  }
  if (step !== asked && got)
    c.report.fault(
      'vrrp-advert-int-fraction',
      got.at,
      text(
        `${name}: version 3 counts hundredths of a second; ${step / 1e6} is taken`,
        `${name}：版本 3 以百分之一秒计，取 ${step / 1e6}`,
      ),
    );
  return { version, advertInterval: step };
}

function familyWithout(v: InstanceValues, source: IpAddress | undefined): Family {
  const shown = source ?? flat(v.unicast_peer)[0]?.value.address ?? v.mcast_dst_ip?.value;
  const excluded = flat(v.virtual_ipaddress_excluded)[0]?.value.prefix.address;
  if (v.native_ipv6) return 6;
  const first = shown ?? excluded;
  return first === undefined ? 4 : familyOf(first);
}

/** What does not fit in an advert is held but not told. What the interface's MTU allows is known only where it runs. */
function splitAddresses(
  all: readonly WantedAddress[],
  family: Family,
  v: InstanceValues,
  name: string,
  report: Report,
): { readonly addresses: WantedAddress[]; readonly excluded: WantedAddress[] } {
  const same = all.filter((a) => familyOfAddress(a) === family);
  const other = all.filter((a) => familyOfAddress(a) !== family);
  const placeOf = (a: WantedAddress): Place | undefined =>
    flat(v.virtual_ipaddress).find((x) => x.value.prefix.address === a.prefix.address)?.at;
  const [stranger] = other;
  if (stranger)
    report.fault(
      'vrrp-address-family',
      placeOf(stranger),
      text(
        `${name}: an advert carries one family; ${stranger.prefix.address} is left out`,
        `${name}：一个通告只能携带一个协议族，${stranger.prefix.address} 被忽略`,
      ),
      text('move it to virtual_ipaddress_excluded', '请移到 virtual_ipaddress_excluded'),
    );
  const surplus = same[MOST_TOLD];
  if (surplus)
    report.fault(
      'vrrp-address-count',
      placeOf(surplus),
      text(
        `${name}: an advert carries at most ${MOST_TOLD} addresses; from ${surplus.prefix.address} on they are held but not told`,
        `${name}：一个通告最多携带 ${MOST_TOLD} 个地址，从 ${surplus.prefix.address} 起保留但不通告`,
      ),
      text('move them to virtual_ipaddress_excluded', '请移到 virtual_ipaddress_excluded'),
    );
  return { addresses: same.slice(0, MOST_TOLD), excluded: same.slice(MOST_TOLD) };
}

type Rank = { readonly priority: number; readonly wantsMaster: boolean };
function rankOf(v: InstanceValues, name: string, report: Report): Rank {
  const wanted = v.state?.value;
  const priority = v.priority?.value ?? (wanted === 'MASTER' ? 255 : 100);
  if (priority === 255 && wanted === 'BACKUP') {
    report.warn(
      'vrrp-owner-backup',
      v.state?.at,
      text(
        `${name}: priority 255 owns the address and would begin as MASTER; it waits as BACKUP first`,
        `${name}：优先级 255 是地址拥有者，本应初始即为 MASTER，现在先作为 BACKUP 等待`,
      ),
      text('a lower priority, or no state', '降低优先级，或删除 state'),
    );
  }
  return { priority, wantsMaster: wanted === undefined ? priority === 255 : wanted === 'MASTER' };
}

function preemptionOf(
  v: InstanceValues,
  rank: Rank,
  name: string,
  report: Report,
): { readonly preempt: boolean; readonly delay: Microseconds } {
  const delay = v.preempt_delay?.value ?? us(0);
  let nopreempt = v.nopreempt;
  const refuse = (code: string, why: ReturnType<typeof text>, hint: ReturnType<typeof text>): void => {
    report.fault(code, nopreempt?.keyword, why, hint);
    nopreempt = undefined;
  };
  if (nopreempt && v.preempt)
    refuse(
      'vrrp-preempt-both',
      text(`${name}: preempt and nopreempt`, `${name}：同时有 preempt 和 nopreempt`),
      text('keep one', '只保留一个'),
    );
  if (nopreempt && rank.priority === 255)
    refuse(
      'vrrp-nopreempt-owner',
      text(`${name}: nopreempt cannot be with priority 255`, `${name}：优先级 255 不能使用 nopreempt`),
      text('the owner of the address always preempts (RFC 9568 section 6.1)', '地址拥有者总是抢占（RFC 9568 6.1 节）'),
    );
  if (nopreempt && v.state?.value === 'MASTER')
    refuse(
      'vrrp-nopreempt-master',
      text(`${name}: nopreempt does nothing with state MASTER`, `${name}:state MASTER 时 nopreempt 不起作用`),
      text('write state BACKUP on every host', '各主机都应写 state BACKUP'),
    );
  if (nopreempt && delay > 0) {
    report.fault(
      'vrrp-nopreempt-delay',
      v.preempt_delay?.keyword,
      text(`${name}: preempt_delay does nothing with nopreempt`, `${name}：使用 nopreempt 时 preempt_delay 不起作用`),
    );
    return { preempt: false, delay: us(0) };
  }
  return { preempt: nopreempt === undefined, delay };
}

function authenticationOf(
  v: InstanceValues,
  rank: Rank,
  name: string,
  version: 2 | 3,
  report: Report,
): Instance['authentication'] {
  const auth = buildAuthentication(v, name, version, report);
  if (auth.type === 'ah' && rank.wantsMaster)
    report.warn(
      'vrrp-ah-master',
      v.state?.at ?? v.authentication?.at(-1)?.keyword,
      text(
        `${name}: with AH it begins as BACKUP, since its sequence number must first be learnt`,
        `${name}：使用 AH 时初始为 BACKUP，因为要先获知序列号`,
      ),
      text('write state BACKUP', '请写 state BACKUP'),
    );
  return auth;
}

function garpOf(v: InstanceValues, g: GlobalValues): Garp {
  const minimal = g.vrrp_min_garp?.value ?? false;
  const delay = v.garp_master_delay?.value ?? g.vrrp_garp_master_delay?.value ?? (minimal ? 0 : 5);
  const repeat = v.garp_master_repeat?.value ?? g.vrrp_garp_master_repeat?.value ?? (minimal ? 1 : 5);
  const extra = v.garp_extra_if?.value ?? g.vrrp_garp_extra_if?.value;
  return {
    masterDelay: seconds(delay),
    masterRepeat: repeat,
    masterRefresh: seconds(v.garp_master_refresh?.value ?? g.vrrp_garp_master_refresh?.value ?? 0),
    masterRefreshRepeat: v.garp_master_refresh_repeat?.value ?? g.vrrp_garp_master_refresh_repeat?.value ?? 1,
    lowerPrioDelay: seconds(v.garp_lower_prio_delay?.value ?? g.vrrp_garp_lower_prio_delay?.value ?? delay),
    lowerPrioRepeat: v.garp_lower_prio_repeat?.value ?? g.vrrp_garp_lower_prio_repeat?.value ?? repeat,
    ...maybe('extraInterface', extra && { all: extra.all, every: seconds(extra.seconds) }),
  };
}

function notifyOf(v: InstanceValues): NotifyScripts {
  const deleted = v.notify_deleted?.value;
  return {
    ...maybe('master', v.notify_master?.value),
    ...maybe('backup', v.notify_backup?.value),
    ...maybe('fault', v.notify_fault?.value),
    ...maybe('stop', v.notify_stop?.value),
    ...maybe('deleted', deleted === 'state-only' ? undefined : deleted),
    ...maybe('tellDeleted', deleted === undefined ? undefined : true),
    ...maybe('masterRxLowerPri', v.notify_master_rx_lower_pri?.value),
    ...maybe('any', v.notify?.value),
  };
}
