import { isLinkLocal, type Place, type Text, text, us } from '../../../base/index.ts';
import type { Instance } from '../../../vrrp/config.ts';
import type { Report } from '../report.ts';
import type { InstanceValues } from './values.ts';

/**
 * What `vrrp_strict` and `strict_mode` forbid. Each is told with its place; what keepalived would take back (lenient)
 * is taken back.
 */
export function applyStrict(i: Instance, v: InstanceValues, keyword: Place, report: Report): Instance {
  const forbid = (place: Place | undefined, en: string, zh: string, hint?: Text): void =>
    report.fault(
      'vrrp-strict',
      place ?? keyword,
      text(`${i.name}: strict mode ${en}`, `${i.name}：严格模式${zh}`),
      hint ??
        text(
          "take 'vrrp_strict' or 'strict_mode' out unless every router obeys it",
          "除非各路由器都遵守,否则请去掉 'vrrp_strict' 或 'strict_mode'",
        ),
    );
  const owner = i.priority === 255;
  let out = i;
  if (i.addresses.length === 0) forbid(keyword, 'needs a virtual address', '要求至少一个虚拟地址');
  if (i.unicastPeers !== undefined) forbid(v.unicast_peer?.[0]?.keyword, 'has no unicast', '不允许单播');
  const first = i.addresses[0]?.prefix.address;
  if (i.family === 6 && first !== undefined && !isLinkLocal(first))
    forbid(
      v.virtual_ipaddress?.[0]?.value[0]?.at,
      'wants a link-local first IPv6 address',
      '要求第一个 IPv6 地址是链路本地地址',
    );
  if (v.state && (v.state.value === 'MASTER') !== owner) {
    forbid(
      v.state.at,
      'allows state MASTER for the owner alone (priority 255)',
      '只允许地址拥有者（优先级 255）使用 state MASTER',
    );
    out = { ...out, wantsMaster: owner };
  }
  if (i.authentication.type !== 'none') {
    forbid(v.authentication?.[0]?.keyword, 'has no authentication', '不允许认证');
    out = { ...out, authentication: { type: 'none' } };
  }
  if (i.hmac && i.hmac.mode !== 'enforce')
    forbid(v.auth_hmac?.[0]?.keyword, 'takes auth_hmac in mode enforce only', '只允许 enforce 模式的 auth_hmac');
  if (i.preemptDelay > 0) {
    forbid(v.preempt_delay?.keyword, 'has no preempt_delay', '不允许 preempt_delay');
    out = { ...out, preemptDelay: us(0) };
  }
  if (i.version === 2 && v.accept && !owner) {
    forbid(v.accept.keyword, 'has no accept mode in version 2', '在版本 2 中不允许 accept');
    out = { ...out, accept: false };
  }
  const repeated = v.garp_master_repeat ?? v.garp_master_delay ?? v.garp_lower_prio_repeat ?? v.garp_lower_prio_delay;
  if (repeated && repeated.value > (repeated === v.garp_master_repeat || repeated === v.garp_lower_prio_repeat ? 1 : 0))
    forbid(repeated.keyword, 'announces an address once', '只公告一次地址');
  out = {
    ...out,
    garp: { ...i.garp, masterRepeat: 1, masterDelay: us(0), lowerPrioRepeat: 0, lowerPrioDelay: us(0) },
  };
  if (!i.lowerPrioNoAdvert) {
    forbid(v.lower_prio_no_advert?.keyword, 'keeps lower_prio_no_advert', '不能取消 lower_prio_no_advert');
    out = { ...out, lowerPrioNoAdvert: true };
  }
  if (i.higherPrioSendAdvert) {
    // On by default here, which is nobody's mistake: strict mode then only turns it off.
    if (v.higher_prio_send_advert)
      forbid(v.higher_prio_send_advert.keyword, 'has no higher_prio_send_advert', '不允许 higher_prio_send_advert');
    out = { ...out, higherPrioSendAdvert: false };
  }
  if (i.vmacXmitBase) {
    forbid(v.vmac_xmit_base?.keyword, 'sends from the VMAC', '必须从 VMAC 发送');
    out = { ...out, vmacXmitBase: false };
  }
  if (i.vmac?.mac !== undefined)
    forbid(v.use_vmac?.at, 'has one MAC address for each VRID', '每个 VRID 只有一个规定的 MAC 地址');
  if (i.downTimerAdverts !== 3) {
    forbid(v.down_timer_adverts?.at, 'waits for 3 adverts', '只等待 3 个通告');
    out = { ...out, downTimerAdverts: 3 };
  }
  return out;
}
