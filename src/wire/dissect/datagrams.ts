/** Protocols of one packet a message: ARP, neighbour discovery, VRRP, BFD. */
import { formatSeconds } from '../../base/index.ts';
import { decodeAh } from '../ah.ts';
import { decodeArp } from '../arp.ts';
import { BFD_DIAGNOSTICS, BFD_PORT, decodeBfd } from '../bfd.ts';
import { IP_PROTOCOL } from '../ipv4.ts';
import { decodeNdp } from '../ndp.ts';
import { decodeUdp } from '../udp.ts';
import { decodeVrrp, unpackAddresses, type VrrpPath } from '../vrrp.ts';
import { errorMessage, type Message } from './types.ts';

/** What came in an IP packet, or straight in a frame. Undefined when the protocol is none of those spoken here. */
export type DatagramDissector = (payload: Uint8Array, path: VrrpPath) => Message | undefined;

export function dissectArp(payload: Uint8Array): Message {
  const got = decodeArp(payload);
  if (!got.ok) return errorMessage('ARP', got.error);
  const a = got.value;
  return {
    protocol: 'ARP',
    message: a.senderIp === a.targetIp ? `gratuitous-${a.operation}` : a.operation,
    fields: [
      ['sender', a.senderIp],
      ['sender-mac', a.senderMac],
      ['target', a.targetIp],
      ['target-mac', a.targetMac],
    ],
  };
}

function dissectNdp(payload: Uint8Array, path: VrrpPath): Message | undefined {
  const got = decodeNdp(payload, path);
  if (!got.ok) return got.error.kind === 'type' ? undefined : errorMessage('NDP', got.error);
  const m = got.value;
  const options = m.options.map((o) => [o.kind, o.kind === 'other' ? o.type : o.mac] as const);
  if (m.kind === 'solicitation')
    return { protocol: 'NDP', message: m.kind, fields: [['target', m.target], ...options] };
  const { target, router, solicited, override } = m;
  return {
    protocol: 'NDP',
    message: m.kind,
    fields: [['target', target], ['router', router], ['solicited', solicited], ['override', override], ...options],
  };
}

function dissectVrrp(payload: Uint8Array, path: VrrpPath): Message {
  const got = decodeVrrp(payload, path);
  if (!got.ok) return errorMessage('VRRP', got.error);
  const a = got.value;
  return {
    protocol: 'VRRP',
    message: 'advertisement',
    fields: [
      ['version', a.version],
      ['vrid', a.virtualRouter],
      ['priority', a.priority],
      ['interval', `${formatSeconds(a.interval)}s`],
      ['addresses', unpackAddresses(a.addresses, path.family).join(',')],
      ...(a.version === 2 ? ([['auth', a.authType]] as const) : []),
      ['checksum', a.checksum],
    ],
  };
}

function dissectAh(payload: Uint8Array, path: VrrpPath): Message | undefined {
  const got = decodeAh(payload);
  if (!got.ok) return errorMessage('AH', got.error);
  if (got.value.nextHeader !== IP_PROTOCOL.vrrp) return undefined;
  const inner = dissectVrrp(got.value.payload, path);
  return { ...inner, fields: [...inner.fields, ['ah-spi', got.value.spi], ['ah-sequence', got.value.sequence]] };
}

function dissectUdp(payload: Uint8Array, path: VrrpPath): Message | undefined {
  const got = decodeUdp(payload, path);
  if (!got.ok) return undefined; // whose protocol it is stands in what could not be read
  const { destinationPort } = got.value;
  if (destinationPort !== BFD_PORT.singleHop && destinationPort !== BFD_PORT.multihop) return undefined;
  const bfd = decodeBfd(got.value.payload);
  if (!bfd.ok) return errorMessage('BFD', bfd.error);
  const p = bfd.value;
  const hex = (n: number): string => `0x${n.toString(16)}`;
  return {
    protocol: 'BFD',
    message: p.state,
    fields: [
      ['my-discriminator', hex(p.myDiscriminator)],
      ['your-discriminator', hex(p.yourDiscriminator)],
      ['diagnostic', BFD_DIAGNOSTICS[p.diagnostic] ?? p.diagnostic],
      ['multiplier', p.multiplier],
      ['desired-min-tx', `${formatSeconds(p.desiredMinTx)}s`],
      ['required-min-rx', `${formatSeconds(p.requiredMinRx)}s`],
      ['poll', p.poll],
      ['final', p.final],
    ],
  };
}

/** By IP protocol number. TCP is not among them: see `streams.ts`. */
export const DATAGRAM_DISSECTORS: ReadonlyMap<number, DatagramDissector> = new Map<number, DatagramDissector>([
  [IP_PROTOCOL.vrrp, dissectVrrp],
  [IP_PROTOCOL.ah, dissectAh],
  [IP_PROTOCOL.icmpv6, dissectNdp],
  [IP_PROTOCOL.udp, dissectUdp],
]);
