/** BFD control packets: RFC 5880 section 4.1. */
import { err, type Microseconds, ok, type Result, us } from '../base/index.ts';
import { type Short, short } from './short.ts';

/** UDP destination ports: one hop (RFC 5881 section 4), several (RFC 5883 section 5). */
export const BFD_PORT = { singleHop: 3784, multihop: 4784 } as const;
/** In the order of their numbers on the wire. */
export const BFD_STATES = ['admin-down', 'down', 'init', 'up'] as const;
export type BfdState = (typeof BFD_STATES)[number];
/** RFC 5880 section 4.1, by number. */
export const BFD_DIAGNOSTICS = [
  'none',
  'detection-time-expired',
  'echo-failed',
  'neighbour-down',
  'forwarding-reset',
  'path-down',
  'concatenated-path-down',
  'administratively-down',
  'reverse-concatenated-path-down',
] as const;

export type BfdPacket = {
  /** 0..31; see BFD_DIAGNOSTICS. */
  readonly diagnostic: number;
  readonly state: BfdState;
  readonly poll: boolean;
  readonly final: boolean;
  readonly controlPlaneIndependent: boolean;
  readonly demand: boolean;
  /** 1..255. */
  readonly multiplier: number;
  /** The sender's, never 0. */
  readonly myDiscriminator: number;
  /** What the sender heard of ours, 0 while it has heard nothing. */
  readonly yourDiscriminator: number;
  readonly desiredMinTx: Microseconds;
  /** 0: do not send to me. */
  readonly requiredMinRx: Microseconds;
  readonly requiredMinEchoRx: Microseconds;
  /** The authentication section as it stands (type, length, data); undefined without the A bit. */
  readonly authentication: Uint8Array | undefined;
};
export type BfdError =
  | Short
  | { readonly kind: 'version'; readonly have: number }
  /** The length field: below the minimum, or beyond the packet. */
  | { readonly kind: 'length'; readonly have: number }
  | { readonly kind: 'multiplier' }
  | { readonly kind: 'multipoint' }
  | { readonly kind: 'my-discriminator' }
  | { readonly kind: 'authentication' };

const LENGTH = 24;
const POLL = 0x20;
const FINAL = 0x10;
const INDEPENDENT = 0x08;
const AUTHENTICATED = 0x04;
const DEMAND = 0x02;
const MULTIPOINT = 0x01;

/** The checks of RFC 5880 section 6.8.6 that need no session. */
export function decodeBfd(b: Uint8Array): Result<BfdPacket, BfdError> {
  if (b.length < LENGTH) return short(LENGTH, b.length);
  const v = new DataView(b.buffer, b.byteOffset, b.length);
  const first = v.getUint8(0);
  if (first >> 5 !== 1) return err({ kind: 'version', have: first >> 5 });
  const flags = v.getUint8(1);
  const length = v.getUint8(3);
  const authenticated = (flags & AUTHENTICATED) !== 0;
  if (length < (authenticated ? LENGTH + 2 : LENGTH) || length > b.length) return err({ kind: 'length', have: length });
  if (v.getUint8(2) === 0) return err({ kind: 'multiplier' });
  if ((flags & MULTIPOINT) !== 0) return err({ kind: 'multipoint' });
  if (v.getUint32(4) === 0) return err({ kind: 'my-discriminator' });
  // The section must fill the packet: section 6.7.1 has the receiver compare both lengths.
  if (authenticated && v.getUint8(LENGTH + 1) !== length - LENGTH) return err({ kind: 'authentication' });
  return ok({
    diagnostic: first & 0x1f,
    state: BFD_STATES[flags >> 6] as BfdState,
    poll: (flags & POLL) !== 0,
    final: (flags & FINAL) !== 0,
    controlPlaneIndependent: (flags & INDEPENDENT) !== 0,
    demand: (flags & DEMAND) !== 0,
    multiplier: v.getUint8(2),
    myDiscriminator: v.getUint32(4),
    yourDiscriminator: v.getUint32(8),
    desiredMinTx: us(v.getUint32(12)),
    requiredMinRx: us(v.getUint32(16)),
    requiredMinEchoRx: us(v.getUint32(20)),
    authentication: authenticated ? b.subarray(LENGTH, length) : undefined,
  });
}

export function encodeBfd(p: BfdPacket): Uint8Array {
  const out = new Uint8Array(LENGTH + (p.authentication?.length ?? 0));
  const v = new DataView(out.buffer);
  v.setUint8(0, (1 << 5) | p.diagnostic);
  v.setUint8(
    1,
    (BFD_STATES.indexOf(p.state) << 6) |
      (p.poll ? POLL : 0) |
      (p.final ? FINAL : 0) |
      (p.controlPlaneIndependent ? INDEPENDENT : 0) |
      (p.authentication ? AUTHENTICATED : 0) |
      (p.demand ? DEMAND : 0),
  );
  v.setUint8(2, p.multiplier);
  v.setUint8(3, out.length);
  v.setUint32(4, p.myDiscriminator);
  v.setUint32(8, p.yourDiscriminator);
  v.setUint32(12, p.desiredMinTx);
  v.setUint32(16, p.requiredMinRx);
  v.setUint32(20, p.requiredMinEchoRx);
  if (p.authentication) out.set(p.authentication, LENGTH);
  return out;
}
