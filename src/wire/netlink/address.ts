import { err, familyOf, hostLength, ok, type Result } from '../../base/index.ts';
import { Attributes } from './attributes.ts';
import { AF, familyFromAf, fits, scopeFromNumber, scopeNumber } from './family.ts';
import type { NetlinkError } from './message.ts';
import { NativeView } from './native.ts';
import type { LinkAddress } from './types.ts';
import { NetlinkWriter } from './writer.ts';

const HEAD = 8; // struct ifaddrmsg: u8 family, length, flags, scope; u32 index
const IFA = { address: 1, local: 2, label: 3, broadcast: 4, cacheInfo: 6, flags: 8, protocol: 11 } as const;
const FOREVER = 0xffff_ffff;
const FLAG = {
  secondary: 0x01,
  noDad: 0x02,
  dadFailed: 0x08,
  home: 0x10,
  tentative: 0x40,
  manageTempAddr: 0x100,
  noPrefixRoute: 0x200,
  autoJoin: 0x400,
} as const;
type Flag = keyof typeof FLAG;
const FLAGS = Object.keys(FLAG) as Flag[];
/** For IPv6 bit 0 is IFA_F_TEMPORARY, and duplicate detection exists there alone. */
const ONLY_4: readonly Flag[] = ['secondary'];
const ONLY_6: readonly Flag[] = ['noDad', 'dadFailed', 'tentative', 'home', 'manageTempAddr'];
const applies = (flag: Flag, family: 4 | 6): boolean => !(family === 4 ? ONLY_6 : ONLY_4).includes(flag);

/** Payload of RTM_NEWADDR and RTM_DELADDR. */
export function decodeAddress(b: Uint8Array): Result<LinkAddress, NetlinkError> {
  if (b.length < HEAD) return err({ kind: 'length', have: b.length, need: HEAD });
  const v = new NativeView(b);
  const family = familyFromAf(v.u8(0));
  if (family === undefined) return err({ kind: 'family', have: v.u8(0) });
  const length = v.u8(1);
  if (!fits(length, family)) return err({ kind: 'range', field: 'prefix length', have: length });
  const a = new Attributes(b.subarray(HEAD));
  const far = a.ip(IFA.address, family);
  const local = a.ip(IFA.local, family) ?? far;
  const label = a.text(IFA.label);
  const broadcast = a.ip(IFA.broadcast, family);
  const cache = a.u32s(IFA.cacheInfo, 2); // preferred, valid, then times of no use here
  const flags = a.u32(IFA.flags) ?? v.u8(2);
  const protocol = a.u8(IFA.protocol);
  const scope = scopeFromNumber(v.u8(3));
  if (a.flaw !== undefined) return err({ kind: 'attribute', type: a.flaw });
  if (local === undefined) return err({ kind: 'missing', type: IFA.local });
  const peer = far !== undefined && far !== local ? far : undefined;
  const valid = cache?.[1] ?? FOREVER;
  const preferred = Math.min(cache?.[0] ?? FOREVER, valid);
  return ok({
    ifindex: v.u32(4),
    prefix: { address: local, length: peer === undefined ? length : hostLength(family) },
    ...(peer !== undefined && { peer: { address: peer, length } }),
    ...(broadcast !== undefined && { broadcast }),
    scope: scope === 'nowhere' ? 255 : scope,
    ...(label !== undefined && { label }),
    ...(valid !== FOREVER && { validSeconds: valid }),
    ...(preferred !== FOREVER && { preferredSeconds: preferred }),
    ...Object.fromEntries(FLAGS.filter((f) => applies(f, family) && (flags & FLAG[f]) !== 0).map((f) => [f, true])),
    ...(protocol !== undefined && { protocol }),
  });
}

/** Payload of RTM_NEWADDR and RTM_DELADDR. */
export function writeAddress(w: NetlinkWriter, a: LinkAddress): void {
  const family = familyOf(a.prefix.address);
  const flags = FLAGS.reduce((bits, f) => (a[f] && applies(f, family) ? bits | FLAG[f] : bits), 0);
  w.u8(AF[family])
    .u8((a.peer ?? a.prefix).length)
    .u8(flags & 0xff)
    .u8(scopeNumber(a.scope))
    .u32(a.ifindex);
  w.attrIp(IFA.local, a.prefix.address).attrIp(IFA.address, (a.peer ?? a.prefix).address);
  if (a.broadcast !== undefined) w.attrIp(IFA.broadcast, a.broadcast);
  if (a.label !== undefined) w.attrText(IFA.label, a.label);
  if (flags > 0xff) w.attrU32(IFA.flags, flags); // not known before 3.14; the low ones are in the head
  if (a.validSeconds !== undefined || a.preferredSeconds !== undefined) {
    const valid = a.validSeconds ?? FOREVER;
    // The kernel refuses a preferred lifetime above the valid one.
    w.attrU32s(IFA.cacheInfo, [Math.min(a.preferredSeconds ?? FOREVER, valid), valid, 0, 0]);
  }
  if (a.protocol !== undefined) w.attrU8(IFA.protocol, a.protocol);
}
export function encodeAddress(a: LinkAddress): Uint8Array {
  const w = new NetlinkWriter();
  writeAddress(w, a);
  return w.done();
}
/** Payload of a dump request: both families. */
export function writeAddressDump(w: NetlinkWriter): void {
  w.u32(0).u32(0);
}
