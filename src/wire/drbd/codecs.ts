/** For the registry that the round-trip and hostile-bytes tests walk: packets in each dialect that reads them otherwise. */
import type { Result } from '../../base/index.ts';
import { encodePacket } from './encode.ts';
import { decodePacket } from './stream.ts';
import { DRBD_FEATURE, type DrbdDialect, type DrbdError, type DrbdPacket } from './types.ts';
import { decodeRuns, encodeRuns, type Runs, type RunsError } from './vli.ts';

const all = DRBD_FEATURE.trim | DRBD_FEATURE.thinResync | DRBD_FEATURE.writeSame | DRBD_FEATURE.writeZeroes;
/** The dialects in which the tests try every packet. */
export const DRBD_TEST_DIALECTS: Readonly<Record<string, DrbdDialect>> = {
  'protocol 101': { version: 101, features: all, digestLength: 0 },
  'protocol 101 with integrity': { version: 101, features: 0, digestLength: 4 },
  'protocol 96': { version: 96, features: 0, digestLength: 20 },
  'protocol 89': { version: 89, features: 0, digestLength: 0 },
  'protocol 86': { version: 86, features: 0, digestLength: 0 },
};

export const drbdCodecs = [
  ...Object.entries(DRBD_TEST_DIALECTS).map(([name, dialect]) => ({
    name: `drbd packet, ${name}`,
    decode: (b: Uint8Array): Result<DrbdPacket, DrbdError> => decodePacket(b, dialect),
    encode: (p: DrbdPacket): Uint8Array => encodePacket(p, dialect),
  })),
  {
    name: 'drbd runs',
    /** The encoding byte and its code, as a packet's body has them. */
    decode: (b: Uint8Array): Result<Runs, RunsError> => decodeRuns(b[0] ?? 0, b.subarray(1)),
    encode: (r: Runs): Uint8Array => {
      const { encoding, code } = encodeRuns(r);
      return Uint8Array.of(encoding, ...code);
    },
  },
] as const;
