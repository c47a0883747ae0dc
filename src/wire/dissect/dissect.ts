/** From a capture to messages: link layer, IP, and then whichever protocol is spoken here. */
import type { Family } from '../../base/index.ts';
import { decodeEthernet, ETHERTYPE } from '../ethernet.ts';
import { decodeIpv4, IP_PROTOCOL } from '../ipv4.ts';
import { decodeIpv6 } from '../ipv6.ts';
import { type Capture, type CapturedPacket, LINK_TYPE } from '../pcap.ts';
import type { VrrpPath } from '../vrrp.ts';
import { DATAGRAM_DISSECTORS, dissectArp } from './datagrams.ts';
import { type StreamMessages, Streams } from './streams.ts';
import { type CapturedMessage, errorMessage, type Message, type StreamProtocol } from './types.ts';

export type Dissection = {
  readonly messages: readonly CapturedMessage[];
  /** Packets of protocols that are not spoken here. */
  readonly others: number;
};
type Layer = { readonly type: number; readonly payload: Uint8Array };
type Found = { readonly source: string; readonly destination: string; readonly messages: readonly Message[] };

/** A cooked capture's header: sixteen bytes, the protocol in the last two. */
const COOKED_HEADER = 16;

function linkLayer(p: CapturedPacket): Layer | Message | undefined {
  switch (p.linkType) {
    case LINK_TYPE.ethernet: {
      const frame = decodeEthernet(p.bytes);
      return frame.ok
        ? { type: frame.value.etherType, payload: frame.value.payload }
        : errorMessage('Ethernet', frame.error);
    }
    case LINK_TYPE.cooked:
      if (p.bytes.length < COOKED_HEADER)
        return errorMessage('cooked', { kind: 'short', need: COOKED_HEADER, have: p.bytes.length });
      return {
        type: ((p.bytes[14] as number) << 8) | (p.bytes[15] as number),
        payload: p.bytes.subarray(COOKED_HEADER),
      };
    case LINK_TYPE.raw:
      return { type: (p.bytes[0] ?? 0) >> 4 === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4, payload: p.bytes };
    default:
      return undefined;
  }
}

/** `protocols` stands in for the registry in tests. */
export function dissect(capture: Capture, protocols?: readonly StreamProtocol[]): Dissection {
  const streams = new Streams(protocols);
  const messages: CapturedMessage[] = [];
  let others = 0;
  capture.packets.forEach((p, i) => {
    const found = inPacket(p, streams);
    if (found === undefined) others++;
    else
      for (const m of found.messages)
        messages.push({ ...m, packet: i + 1, at: p.at, source: found.source, destination: found.destination });
  });
  const last = capture.packets.at(-1);
  if (last)
    for (const found of streams.end())
      for (const m of found.messages)
        messages.push({
          ...m,
          packet: capture.packets.length,
          at: last.at,
          source: found.source,
          destination: found.destination,
        });
  return { messages, others };
}

function inPacket(p: CapturedPacket, streams: Streams): Found | undefined {
  const layer = linkLayer(p);
  if (layer === undefined) return undefined;
  const nowhere = { source: '-', destination: '-' };
  if ('message' in layer) return { ...nowhere, messages: [layer] };
  switch (layer.type) {
    case ETHERTYPE.arp: {
      const message = dissectArp(layer.payload);
      const of = (name: string): string => `${message.fields.find(([n]) => n === name)?.[1] ?? '-'}`;
      return { source: of('sender-mac'), destination: of('target-mac'), messages: [message] };
    }
    case ETHERTYPE.ipv4: {
      const got = decodeIpv4(layer.payload);
      if (!got.ok) return { ...nowhere, messages: [errorMessage('IPv4', got.error)] };
      const { source, destination, protocol, payload, fragmentOffset, moreFragments } = got.value;
      if (fragmentOffset > 0 || moreFragments) return undefined;
      return inIp(protocol, payload, { family: 4 as Family, source, destination }, streams);
    }
    case ETHERTYPE.ipv6: {
      const got = decodeIpv6(layer.payload);
      if (!got.ok) return { ...nowhere, messages: [errorMessage('IPv6', got.error)] };
      const { source, destination, protocol, payload } = got.value;
      return inIp(protocol, payload, { family: 6 as Family, source, destination }, streams);
    }
    default:
      return undefined;
  }
}

function inIp(protocol: number, payload: Uint8Array, path: VrrpPath, streams: Streams): Found | undefined {
  const { source, destination } = path;
  if (protocol === IP_PROTOCOL.tcp) {
    const found: StreamMessages = streams.segment(payload, source, destination);
    return found.understood ? found : undefined;
  }
  const message = DATAGRAM_DISSECTORS.get(protocol)?.(payload, path);
  return message && { source, destination, messages: [message] };
}
