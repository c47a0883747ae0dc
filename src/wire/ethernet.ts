/** Ethernet II frames with IEEE 802.1Q and 802.1ad tags, without the frame check sequence. */
import { ByteWriter, ok, type Result } from '../base/index.ts';
import { type MacAddress, macBytes, macFromBytes } from './mac.ts';
import { type Short, short } from './short.ts';

export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd, serviceVlan: 0x88a8 } as const;

/** One tag: 802.1Q section 9.6. */
export type VlanTag = {
  /** 0x8100 customer, 0x88a8 service (802.1ad). */
  readonly protocol: 0x8100 | 0x88a8;
  /** PCP, 0..7. */
  readonly priority: number;
  /** DEI. */
  readonly dropEligible: boolean;
  /** 0..4095; 0 means that only the priority counts. */
  readonly id: number;
};
export type EthernetFrame = {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  /** Outermost first; at most two are looked into, a third stays in the payload. */
  readonly tags: readonly VlanTag[];
  /** Below 0x0600 it is the length of an 802.3 frame and the payload begins with LLC. */
  readonly etherType: number;
  /** A view into what was decoded. May carry padding up to the 60 byte minimum. */
  readonly payload: Uint8Array;
};
export type EthernetError = Short;

const HEADER = 14;
const TAG = 4;
const MAX_TAGS = 2;
const isTag = (type: number): type is 0x8100 | 0x88a8 => type === ETHERTYPE.vlan || type === ETHERTYPE.serviceVlan;

export function decodeEthernet(b: Uint8Array): Result<EthernetFrame, EthernetError> {
  if (b.length < HEADER) return short(HEADER, b.length);
  const u16 = (at: number): number => ((b[at] as number) << 8) | (b[at + 1] as number);
  const tags: VlanTag[] = [];
  let at = 12;
  for (let type = u16(at); isTag(type) && tags.length < MAX_TAGS; type = u16(at)) {
    if (b.length < at + 2 + TAG) return short(at + 2 + TAG, b.length);
    const control = u16(at + 2);
    tags.push({
      protocol: type,
      priority: control >> 13,
      dropEligible: (control & 0x1000) !== 0,
      id: control & 0x0fff,
    });
    at += TAG;
  }
  return ok({
    destination: macFromBytes(b.subarray(0, 6)),
    source: macFromBytes(b.subarray(6, 12)),
    tags,
    etherType: u16(at),
    payload: b.subarray(at + 2),
  });
}

/** Adds no padding: the kernel and the card pad. */
export function encodeEthernet(f: EthernetFrame): Uint8Array {
  const w = new ByteWriter(HEADER + TAG * f.tags.length + f.payload.length);
  w.put(macBytes(f.destination)).put(macBytes(f.source));
  for (const t of f.tags) w.u16(t.protocol).u16((t.priority << 13) | (t.dropEligible ? 0x1000 : 0) | t.id);
  return w.u16(f.etherType).put(f.payload).done();
}
