/** Causes, faults and refused packets in words. */
import { formatSeconds, type IpAddress, type Text, text, unreachable } from '../base/index.ts';
import { unpackAddresses } from '../wire/index.ts';
import type { Drop, Oddity } from './receive.ts';
import type { Because, Fault, Rival, TrackerKind } from './types.ts';

const join = (parts: readonly Text[]): Text =>
  text(parts.map((p) => p.en).join(', '), parts.map((p) => p.zh).join('、'));

const TRACKERS: Readonly<Record<TrackerKind, Text>> = {
  interface: text('interface', '接口'),
  script: text('script', '脚本'),
  process: text('process', '进程'),
  file: text('file', '文件'),
  bfd: text('BFD session', 'BFD 会话'),
};

function describeFault(f: Fault): Text {
  switch (f.kind) {
    case 'link-missing':
      return text(`there is no interface ${f.interface}`, `没有接口 ${f.interface}`);
    case 'link-down':
      return text(`interface ${f.interface} is down`, `接口 ${f.interface} 已断开`);
    case 'no-source':
      return text(`interface ${f.interface} has no address to send from`, `接口 ${f.interface} 没有可用的源地址`);
    case 'source-lost':
      return text(`the source address ${f.address} is gone`, `源地址 ${f.address} 已不存在`);
    case 'duplicate-vrid':
      return text(
        `instance ${f.with} uses the same virtual_router_id on ${f.interface}`,
        `实例 ${f.with} 在 ${f.interface} 上使用了相同的 virtual_router_id`,
      );
    case 'tracker':
      return text(`${TRACKERS[f.tracker].en} ${f.name} is down`, `${TRACKERS[f.tracker].zh} ${f.name} 处于失败状态`);
    case 'static-object':
      return text(
        `${f.object} of track_group ${f.group} was removed`,
        `track_group ${f.group} 中的 ${f.object} 已被删除`,
      );
    case 'sync-group':
      return text(`${f.member} in sync group ${f.group} has a fault`, `同步组 ${f.group} 的成员 ${f.member} 有故障`);
    case 'no-unicast-peer':
      return text('no unicast peer is configured', '没有配置单播对端');
    case 'refused':
      return text(`${f.error.doing.en}: ${f.error.code}`, `${f.error.doing.zh}：${f.error.code}`);
    default:
      return unreachable(f);
  }
}

const rival = (r: Rival): Text =>
  text(`${r.address} with priority ${r.priority}`, `${r.address}（优先级 ${r.priority}）`);

/** A clause that stands behind the new state: `MASTER: 10.0.0.2 was silent for 3.6 s`. */
export function describeBecause(b: Because): Text {
  switch (b.why) {
    case 'start':
      return text('it starts', '刚启动');
    case 'adopted':
      return text('it was master before', '此前就是主节点');
    case 'owner':
      return text('it owns the addresses (priority 255)', '它是地址的拥有者（优先级 255）');
    case 'silence': {
      const waited = formatSeconds(b.waited);
      return b.master
        ? text(
            `the master ${rival(b.master).en} was silent for ${waited} s`,
            `主节点 ${rival(b.master).zh} 已静默 ${waited} 秒`,
          )
        : text(`no master was heard for ${waited} s`, `${waited} 秒内没有听到任何主节点`);
    }
    case 'resigned':
      return text(`the master ${b.master.address} resigned`, `主节点 ${b.master.address} 主动让位`);
    case 'preempts':
      return text(
        `the master ${rival(b.master).en} is below our ${b.ours}`,
        `主节点 ${rival(b.master).zh} 低于本机的 ${b.ours}`,
      );
    case 'higher-priority':
      return text(`${rival(b.rival).en} is above our ${b.ours}`, `${rival(b.rival).zh} 高于本机的 ${b.ours}`);
    case 'higher-address':
      return text(
        `${b.rival.address} has the same priority ${b.rival.priority} and a higher address than ${b.ours}`,
        `${b.rival.address} 优先级同为 ${b.rival.priority}，且地址高于 ${b.ours}`,
      );
    case 'rogue-owner':
      return text(
        `${b.rival.address} also claims to own the addresses and does not give way`,
        `${b.rival.address} 也声称拥有这些地址，且不让步`,
      );
    case 'faults':
      return join(b.faults.map(describeFault));
    case 'recovered': {
      const was = join(b.faults.map(describeFault));
      return text(`no longer: ${was.en}`, `以下故障已消除：${was.zh}`);
    }
    case 'sync-group': {
      const inner = describeBecause(b.because);
      return text(
        `sync group ${b.group} follows ${b.member}: ${inner.en}`,
        `同步组 ${b.group} 跟随 ${b.member}：${inner.zh}`,
      );
    }
    case 'object-lost':
      return text(`somebody removed ${b.object}`, `${b.object} 被他人删除`);
    case 'stalled':
      return text(
        `this process did not run for ${formatSeconds(b.late)} s, long enough for another to take over`,
        `本进程停顿了 ${formatSeconds(b.late)} 秒，足以让其他节点接管`,
      );
    case 'stop':
      return text('it was told to stop', '收到停止命令');
    case 'deleted':
      return text('it is no longer configured', '已从配置中删除');
    default:
      return unreachable(b);
  }
}

export function describeDrop(d: Drop): Text {
  switch (d.kind) {
    case 'short':
      return text(`${d.have} bytes where ${d.need} are needed`, `只有 ${d.have} 字节，需要 ${d.need} 字节`);
    case 'version':
      return text(`VRRP version ${d.have} does not exist`, `不存在 VRRP 版本 ${d.have}`);
    case 'type':
      return text(`packet type ${d.have} is no advertisement`, `报文类型 ${d.have} 不是通告`);
    case 'virtual-router':
      return text('virtual router 0 does not exist', '虚拟路由器 0 不存在');
    case 'checksum':
      return text(`checksum ${d.have} instead of ${d.want}`, `校验和为 ${d.have}，应为 ${d.want}`);
    case 'ah':
      return AH[d.reason];
    case 'ttl':
      return text(`TTL ${d.have} is outside ${d.least}..${d.most}`, `TTL ${d.have} 超出 ${d.least}..${d.most}`);
    case 'other-version':
      return text(
        `it speaks VRRP version ${d.have} and this instance version ${d.want}; set vrrp_version alike on both`,
        `对方使用 VRRP 版本 ${d.have}，本实例为版本 ${d.want}；请在两端设置相同的 vrrp_version`,
      );
    case 'auth-type':
      return text(
        `authentication type ${d.have} instead of ${d.want}; set auth_type alike on both`,
        `认证类型为 ${d.have}，应为 ${d.want}；请在两端设置相同的 auth_type`,
      );
    case 'password':
      return text('the password differs; set auth_pass alike on both', '密码不同；请在两端设置相同的 auth_pass');
    case 'hmac':
      return HMAC[d.reason];
    case 'destination':
      return d.unicast
        ? text(`it was sent to ${d.have}, and multicast is configured here`, `它发往 ${d.have}，而本机配置为组播`)
        : text(`it was sent to ${d.have}, and unicast peers are configured here`, `它发往 ${d.have}，而本机配置为单播`);
    case 'owner-ignores':
      return text(
        'an address owner listens to nobody (owner_ignore_adverts)',
        '地址拥有者不理会通告（owner_ignore_adverts）',
      );
    case 'not-a-peer':
      return text(`${d.source} is not among the unicast peers`, `${d.source} 不在单播对端列表中`);
    default:
      return unreachable(d);
  }
}
const AH: Readonly<Record<(Drop & { kind: 'ah' })['reason'], Text>> = {
  malformed: text('its authentication header is malformed', '认证头格式错误'),
  icv: text(
    'its authentication header is wrong; set auth_pass alike on both',
    '认证头校验失败；请在两端设置相同的 auth_pass',
  ),
  replay: text('its authentication header was seen before', '认证头序号已出现过（重放）'),
};
const HMAC: Readonly<Record<(Drop & { kind: 'hmac' })['reason'], Text>> = {
  missing: text('it is not signed (auth_hmac)', '没有签名（auth_hmac）'),
  malformed: text('its signature is malformed (auth_hmac)', '签名格式错误（auth_hmac）'),
  key: text('it is signed with a key that is not configured here (auth_hmac)', '签名所用密钥未在本机配置（auth_hmac）'),
  mac: text('its signature is wrong (auth_hmac)', '签名错误（auth_hmac）'),
  stale: text(
    'its signature is too old or too new; compare the clocks (auth_hmac)',
    '签名时间超出允许范围；请核对两端时钟（auth_hmac）',
  ),
  replay: text('its signature was seen before (auth_hmac)', '签名已出现过（重放，auth_hmac）'),
};

export function describeOddity(o: Oddity, from: IpAddress, family: 4 | 6): Text {
  switch (o.kind) {
    case 'interval': {
      const [have, want] = [formatSeconds(o.have), formatSeconds(o.want)];
      return o.version === 3
        ? text(
            `${from} advertises every ${have} s, we every ${want} s`,
            `${from} 每 ${have} 秒通告一次，本机每 ${want} 秒`,
          )
        : text(
            `${from} advertises every ${have} s, we every ${want} s: keepalived would ignore us and make a second master; set advert_int alike on both`,
            `${from} 每 ${have} 秒通告一次，本机每 ${want} 秒：keepalived 会忽略本机并成为第二个主节点；请在两端设置相同的 advert_int`,
          );
    }
    case 'addresses': {
      const show = (b: Uint8Array): string => unpackAddresses(b, family).join(' ') || '-';
      return text(
        `${from} advertises the addresses ${show(o.have)}, we have ${show(o.want)}; set virtual_ipaddress alike on both`,
        `${from} 通告的地址为 ${show(o.have)}，本机为 ${show(o.want)}；请在两端设置相同的 virtual_ipaddress`,
      );
    }
    case 'checksum-form':
      return text(
        `${from} sends checksums of the form ${o.have}, we send ${o.want}; both are accepted here (v3_checksum_as_v2, old_unicast_checksum)`,
        `${from} 的校验和形式为 ${o.have}，本机为 ${o.want}；本机两者都接受（v3_checksum_as_v2、old_unicast_checksum）`,
      );
    default:
      return unreachable(o);
  }
}
