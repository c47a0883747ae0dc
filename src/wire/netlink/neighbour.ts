import { err, familyOf, type IpAddress, ok, type Result } from '../../base/index.ts';
import { type MacAddress, macBytes, macFromBytes } from '../mac.ts';
import { Attributes } from './attributes.ts';
import { AF, familyFromAf } from './family.ts';
import type { NetlinkError } from './message.ts';
import { NativeView } from './native.ts';
import type { Neighbour } from './types.ts';
import { NetlinkWriter } from './writer.ts';

const HEAD = 12; // struct ndmsg: u8 family, pad, u16 pad, s32 index, u16 state, u8 flags, u8 type
const NDA = { destination: 1, mac: 2, ifindex: 8 } as const;

/** Payload of RTM_NEWNEIGH and RTM_DELNEIGH. Forwarding entries of a bridge (AF_BRIDGE) are another table: a `family` error. */
export function decodeNeighbour(b: Uint8Array): Result<Neighbour, NetlinkError> {
  if (b.length < HEAD) return err({ kind: 'length', have: b.length, need: HEAD });
  const v = new NativeView(b);
  const family = familyFromAf(v.u8(0));
  if (family === undefined) return err({ kind: 'family', have: v.u8(0) });
  const a = new Attributes(b.subarray(HEAD));
  const address = a.ip(NDA.destination, family);
  if (a.flaw !== undefined) return err({ kind: 'attribute', type: a.flaw });
  if (address === undefined) return err({ kind: 'missing', type: NDA.destination });
  const mac = macFromBytes(a.bytes(NDA.mac) ?? new Uint8Array(0));
  return ok({ ifindex: v.u32(4), address, mac, state: v.u16(8) });
}
/** Payload of RTM_NEWNEIGH. */
export function encodeNeighbour(n: Neighbour): Uint8Array {
  const w = new NetlinkWriter();
  w.u32(AF[familyOf(n.address)]).u32(n.ifindex).u16(n.state).u16(0);
  w.attrIp(NDA.destination, n.address);
  if (n.mac !== '') w.attrBytes(NDA.mac, macBytes(n.mac as MacAddress));
  return w.done();
}
/** Payload of RTM_DELNEIGH. */
export function writeNeighbourKey(w: NetlinkWriter, ifindex: number, address: IpAddress): void {
  w.u8(AF[familyOf(address)]).u8(0).u16(0).u32(ifindex).u32(0).attrIp(NDA.destination, address);
}
/** Payload of a dump request: both families, one link. Kernels that do not filter tell of all links. */
export function writeNeighbourDump(w: NetlinkWriter, ifindex: number): void {
  w.u32(0).u32(0).u32(0).attrU32(NDA.ifindex, ifindex);
}
