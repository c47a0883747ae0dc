/** Made-up Ethernet frames, for programs that are run on them. Checksums are right for IPv4 headers, absent elsewhere. */
import { type IpAddress, internetChecksum, ipBytes } from '../../src/base/index.ts';

export type FrameSpec = {
  readonly from: string;
  readonly to: string;
  /** 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6 */
  readonly protocol: number;
  readonly ports?: readonly [number, number];
  /** TCP: 2 SYN, 16 ACK, 1 FIN, 4 RST */
  readonly flags?: number;
  readonly ttl?: number;
  readonly payload?: Uint8Array;
  /** IPv4: flags and offset as they lie in the header; id 7. */
  readonly fragment?: number;
  /** IPv4: bytes of options, a multiple of 4. */
  readonly options?: number;
  /** The machine whose it is, by link address; absent: whoever gets it. */
  readonly machine?: readonly number[];
};
/** To the address of a virtual router, which is for whoever gets it. */
const MACS = [0, 0, 0x5e, 0, 1, 33, 0x02, 0, 0, 0, 0, 2];

function transport(s: FrameSpec): Uint8Array {
  const payload = s.payload ?? new Uint8Array(20);
  const head = s.protocol === 6 ? 20 : s.protocol === 17 ? 8 : 0;
  const b = new Uint8Array(head + payload.length);
  const v = new DataView(b.buffer);
  if (head > 0) {
    v.setUint16(0, s.ports?.[0] ?? 0);
    v.setUint16(2, s.ports?.[1] ?? 0);
  }
  if (s.protocol === 6) {
    b[12] = 0x50;
    b[13] = s.flags ?? 16;
  }
  if (s.protocol === 17) v.setUint16(4, b.length);
  b.set(payload, head);
  return b;
}
/** The IP packet alone, as errors quote it. */
export function packet(s: FrameSpec): Uint8Array {
  const inside = transport(s);
  const six = s.from.includes(':');
  const head = six ? 40 : 20 + (s.options ?? 0);
  const b = new Uint8Array(head + inside.length);
  const v = new DataView(b.buffer);
  if (six) {
    b[0] = 0x60;
    v.setUint16(4, inside.length);
    b[6] = s.protocol;
    b[7] = s.ttl ?? 64;
    b.set(ipBytes(s.from as IpAddress), 8);
    b.set(ipBytes(s.to as IpAddress), 24);
  } else {
    b[0] = 0x40 | (head / 4);
    v.setUint16(2, b.length);
    v.setUint16(4, 7);
    v.setUint16(6, s.fragment ?? 0);
    b[8] = s.ttl ?? 64;
    b[9] = s.protocol;
    b.set(ipBytes(s.from as IpAddress), 12);
    b.set(ipBytes(s.to as IpAddress), 16);
    b.fill(1, 20, head);
    v.setUint16(10, internetChecksum(b.subarray(0, head)));
  }
  b.set(inside, head);
  return b;
}
export function frame(s: FrameSpec): Uint8Array {
  const ip = packet(s);
  const b = new Uint8Array(14 + ip.length);
  b.set(MACS);
  b.set(s.machine ?? []);
  new DataView(b.buffer).setUint16(12, s.from.includes(':') ? 0x86dd : 0x0800);
  b.set(ip, 14);
  return b;
}
/** An ICMP error about `about`, sent by a router to the address that `about` came from. */
export function icmpError(router: string, about: FrameSpec): Uint8Array {
  const six = router.includes(':');
  const quoted = packet(about).subarray(0, six ? 60 : 48);
  const payload = new Uint8Array(8 + quoted.length);
  payload.set(six ? [2, 0] : [3, 4]);
  payload.set(quoted, 8);
  return frame({ from: router, to: about.from, protocol: six ? 58 : 1, payload });
}
