/** What a proxy of TCP connections cannot carry, and what would. Pure. */
import { compareIp, type IpAddress, ipBytes, ipFromBytes, text } from '../../../base/index.ts';
import type { Refusal, WantedService } from '../../types.ts';

/** Each address takes a listening socket. */
const MOST_ADDRESSES = 256;

export function proxyRefuses(s: WantedService): Refusal | undefined {
  const { match } = s;
  if (match.by === 'fwmark')
    return refusal('mark', 'a proxy listens on addresses, not on marks', '代理在地址上监听，无法按防火墙标记匹配');
  if (match.protocol !== 'tcp')
    return refusal(
      'protocol',
      `a proxy carries TCP, not ${match.protocol}`,
      `代理只承载 TCP，不支持 ${match.protocol}`,
    );
  if (match.port === 0)
    return refusal(
      'port',
      'a proxy needs a port to listen on, and port 0 means every one',
      '代理需要一个监听端口，而端口 0 表示全部端口',
    );
  if (s.scheduler === 'lblc' || s.scheduler === 'lblcr')
    return refusal(
      'scheduler',
      `${s.scheduler} chooses by the destination, of which a proxied service has one: use wlc`,
      `${s.scheduler} 按目的地址选择，而代理服务只有一个目的地址：请改用 wlc`,
    );
  if (addressesOf(match.ranges, MOST_ADDRESSES + 1).length > MOST_ADDRESSES)
    return refusal(
      'addresses',
      `a proxy listens on each address, and takes at most ${MOST_ADDRESSES} in a service`,
      `代理须在每个地址上监听，每个服务最多 ${MOST_ADDRESSES} 个地址`,
    );
  return undefined;
}
const refusal = (code: string, en: string, zh: string): Refusal => ({ code: `proxy.${code}`, text: text(en, zh) });

/** At most `limit` of them. */
export function addressesOf(
  ranges: readonly { readonly from: IpAddress; readonly to: IpAddress }[],
  limit = Number.POSITIVE_INFINITY,
): readonly IpAddress[] {
  const out: IpAddress[] = [];
  for (const { from, to } of ranges)
    for (let at = from; out.length < limit; at = following(at)) {
      out.push(at);
      if (compareIp(at, to) >= 0) break;
    }
  return out;
}
function following(a: IpAddress): IpAddress {
  const bytes = ipBytes(a).slice();
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = ((bytes[i] as number) + 1) & 0xff;
    if (bytes[i] !== 0) break;
  }
  return ipFromBytes(bytes);
}
