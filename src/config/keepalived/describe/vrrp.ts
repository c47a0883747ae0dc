import { familyOf } from '../../../base/index.ts';
import type { ExtraLink, Instance, Track, Tracks, UnicastPeer, VrrpConfig, Weight } from '../../../vrrp/config.ts';
import { addressText, routeText, ruleText } from './lines.ts';
import { quoted, scriptText, secondsText, type Writer } from './writer.ts';

const weightText = (w: Weight): string => `${w.value}${w.reverse ? ' reverse' : ''}`;
const trackText = (t: Track): string => `${quoted(t.name)} weight ${weightText(t.weight)}`;
const whole = (t: number): number => t / 1_000_000;

function tracks(w: Writer, t: Tracks): void {
  w.list('track_interface', t.interfaces.map(trackText));
  w.list('track_script', t.scripts.map(trackText));
  w.list('track_process', t.processes.map(trackText));
  w.list('track_file', t.files.map(trackText));
  w.list('track_bfd', t.bfds.map(trackText));
}

/** What VRRP tracks and holds outside of instances. */
export function describeTracked(w: Writer, v: VrrpConfig): void {
  w.list('static_ipaddress', v.statics.addresses.map(addressText));
  w.list('static_routes', v.statics.routes.map(routeText));
  w.list('static_rules', v.statics.rules.map(ruleText));
  w.list(
    'linkbeat_interfaces',
    v.linkbeat.map((l) => `${quoted(l.interface)}${l.how === 'auto' ? '' : ` ${l.how.toUpperCase()}`}`),
  );
  w.list(
    'interface_up_down_delays',
    v.interfaceDelays.map((d) => `${quoted(d.interface)} ${whole(d.down)} ${whole(d.up)}`),
  );
  for (const s of v.scripts)
    w.block(`vrrp_script ${quoted(s.name)}`, () => {
      w.line('script', scriptText(s.script));
      w.line('interval', secondsText(s.interval));
      w.line('timeout', secondsText(s.timeout));
      w.line('weight', weightText(s.weight));
      w.line('rise', s.rise);
      w.line('fall', s.fall);
      w.flag('init_fail', s.initFail);
    });
  for (const p of v.processes)
    w.block(`vrrp_track_process ${quoted(p.name)}`, () => {
      w.line('process', quoted(p.process), ...p.parameters.map((x) => (x === '' ? '""' : quoted(x))));
      if (p.parameterMatch !== 'exact') w.line('param_match', p.parameterMatch);
      w.flag('full_command', p.fullCommand);
      w.line('weight', weightText(p.weight));
      if (p.quorum > 0) w.line('quorum', p.quorum);
      w.maybe('quorum_max', p.quorumMax);
      w.line('fork_delay', secondsText(p.forkDelay));
      w.line('terminate_delay', secondsText(p.terminateDelay));
    });
  for (const f of v.files)
    w.block(`track_file ${quoted(f.name)}`, () => {
      w.line('file', quoted(f.file));
      w.line('weight', weightText(f.weight));
      if (f.init) w.line('init_file', f.init.value, f.init.overwrite ? 'overwrite' : undefined);
    });
  for (const g of v.garpGroups)
    w.block('garp_group', () => {
      w.line('garp_interval', secondsText(g.garpInterval));
      w.line('gna_interval', secondsText(g.gnaInterval));
      w.list('interfaces', g.interfaces.map(quoted));
    });
}

export function describeVrrp(w: Writer, v: VrrpConfig): void {
  for (const i of v.instances) w.block(`vrrp_instance ${quoted(i.name)}`, () => instance(w, i));
  for (const g of v.groups)
    w.block(`vrrp_sync_group ${quoted(g.name)}`, () => {
      w.list('group', g.members.map(quoted));
      tracks(w, g.tracks);
      w.flag('sync_group_tracking_weight', g.trackingWeight);
      w.script('notify_master', g.notify.master);
      w.script('notify_backup', g.notify.backup);
      w.script('notify_fault', g.notify.fault);
      w.script('notify_stop', g.notify.stop);
      w.script('notify', g.notify.any);
      w.bool('notify_priority_changes', g.notifyPriorityChanges);
      w.bool('smtp_alert', g.smtpAlert);
    });
  for (const g of v.trackGroups)
    w.block(`track_group ${quoted(g.name)}`, () => w.list('group', g.instances.map(quoted)));
}

const peerText = (p: UnicastPeer): string =>
  `${p.address}${p.minTtl === undefined ? '' : ` min_ttl ${p.minTtl}`}${p.maxTtl === undefined ? '' : ` max_ttl ${p.maxTtl}`}`;
const linkText = (l: ExtraLink): string =>
  [
    quoted(l.interface),
    ...(l.source === undefined ? [] : ['unicast_src_ip', l.source]),
    ...(l.peers.length === 0 ? [] : ['unicast_peer', ...l.peers.map((p) => p.address)]),
  ].join(' ');

function instance(w: Writer, i: Instance): void {
  w.line('state', i.wantsMaster ? 'MASTER' : 'BACKUP');
  w.maybe('interface', i.interface === undefined ? undefined : quoted(i.interface));
  w.maybe('vrf', i.vrf === undefined ? undefined : quoted(i.vrf));
  w.line('virtual_router_id', i.virtualRouterId);
  w.line('version', i.version);
  w.line('priority', i.priority);
  w.line('advert_int', secondsText(i.advertInterval));
  w.line('down_timer_adverts', i.downTimerAdverts);
  w.bool('strict_mode', i.strict);
  w.flag('nopreempt', !i.preempt);
  if (i.preemptDelay > 0) w.line('preempt_delay', secondsText(i.preemptDelay));
  if (i.authentication.type !== 'none') {
    const { type, password } = i.authentication;
    w.block('authentication', () => {
      w.line('auth_type', type.toUpperCase());
      w.line('auth_pass', quoted(password));
    });
  }
  const { hmac } = i;
  if (hmac)
    w.block('auth_hmac', () => {
      for (const k of hmac.keys)
        w.line('key', k.id, `hex:${Array.from(k.key, (b) => b.toString(16).padStart(2, '0')).join('')}`);
      w.line('active_key', hmac.activeKey);
      w.line('anti_replay', hmac.antiReplay);
      w.line('time_window', secondsText(hmac.window));
      w.line('mode', hmac.mode);
    });
  addressing(w, i);
  w.list('links', i.links.map(linkText));
  tracks(w, i.tracks);
  w.flag('dont_track_primary', !i.trackPrimary);
  // In strict mode acceptance follows from ownership unless it is said.
  w.flag('no_accept', !i.accept && !(i.strict && i.priority !== 255));
  w.flag('accept', i.accept && i.strict && i.priority !== 255);
  w.bool('skip_check_adv_addr', i.skipCheckAdvAddr);
  const { garp } = i;
  w.line('garp_master_delay', whole(garp.masterDelay));
  w.line('garp_master_repeat', garp.masterRepeat);
  w.line('garp_master_refresh', whole(garp.masterRefresh));
  w.line('garp_master_refresh_repeat', garp.masterRefreshRepeat);
  w.line('garp_lower_prio_delay', whole(garp.lowerPrioDelay));
  w.line('garp_lower_prio_repeat', garp.lowerPrioRepeat);
  const extra = garp.extraInterface;
  if (extra) w.line('garp_extra_if', extra.all ? 'all' : undefined, whole(extra.every));
  w.maybe('timer_expired_backup', i.timerExpiredBackup);
  w.bool('lower_prio_no_advert', i.lowerPrioNoAdvert);
  w.bool('higher_prio_send_advert', i.higherPrioSendAdvert);
  w.bool('owner_ignore_adverts', i.ownerIgnoreAdverts);
  w.maybe('kernel_rx_buf_size', i.receiveBuffer);
  const n = i.notify;
  w.script('notify_master', n.master);
  w.script('notify_backup', n.backup);
  w.script('notify_fault', n.fault);
  w.script('notify_stop', n.stop);
  if (n.deleted) w.script('notify_deleted', n.deleted);
  else w.flag('notify_deleted', n.tellDeleted === true);
  w.script('notify_master_rx_lower_pri', n.masterRxLowerPri);
  w.script('notify', n.any);
  w.bool('notify_priority_changes', i.notifyPriorityChanges);
  w.bool('smtp_alert', i.smtpAlert);
}

function addressing(w: Writer, i: Instance): void {
  w.list('virtual_ipaddress', i.addresses.map(addressText));
  w.list('virtual_ipaddress_excluded', i.excluded.map(addressText));
  if (i.addresses.length === 0) {
    w.line('no_virtual_ipaddress');
    const shown = i.source ?? i.unicastPeers?.[0]?.address ?? i.multicastGroup;
    w.flag('native_ipv6', i.family === 6 && familyOf(shown) !== 6);
  }
  w.list('virtual_routes', i.routes.map(routeText));
  w.list('virtual_rules', i.rules.map(ruleText));
  w.list('unicast_peer', (i.unicastPeers ?? []).map(peerText));
  w.maybe('unicast_ttl', i.unicastTtl);
  w.flag('unicast_fault_no_peer', i.faultWithoutPeer);
  w.maybe(i.unicastPeers ? 'unicast_src_ip' : 'mcast_src_ip', i.source);
  w.line('mcast_dst_ip', i.multicastGroup);
  w.bool('check_unicast_src', i.checkUnicastSource);
  w.flag('track_src_ip', i.trackSourceAddress);
  if (i.oldUnicastChecksum !== 'auto')
    w.line('old_unicast_checksum', i.oldUnicastChecksum === 'never' ? 'never' : undefined);
  w.bool('v3_checksum_as_v2', i.v3ChecksumAsV2);
  const m = i.vmac;
  if (m?.kind === 'macvlan')
    w.line(
      'use_vmac',
      'name',
      quoted(m.name),
      m.mac,
      ...(m.notify ? ['netlink_notify_msg'] : []),
      ...(m.group === undefined ? [] : ['group', m.group]),
    );
  if (m?.kind === 'ipvlan')
    w.line(
      'use_ipvlan',
      'name',
      quoted(m.name),
      m.address && `${m.address.address}/${m.address.length}`,
      m.mode,
      ...(m.group === undefined ? [] : ['group', m.group]),
    );
  w.flag('use_vmac_addr', i.vmacForAddresses);
  w.flag('vmac_xmit_base', i.vmacXmitBase);
  w.flag('promote_secondaries', i.promoteSecondaries);
}
