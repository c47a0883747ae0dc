/** Whether a request may be carried out, before anybody is asked to. Pure. proto.md, "Request types", "Error values". */
import { NBD_COMMAND, NBD_COMMAND_FLAG, NBD_ERROR } from '../wire/index.ts';
import { MAX_BLOCK } from './types.ts';

const F = NBD_COMMAND_FLAG;
/** FUA is accepted everywhere, as the description wants, and means something where data change. */
const ALLOWED: readonly number[] = [
  F.fua | F.df, // read
  F.fua | F.payloadLength, // write
  F.fua, // disconnect
  F.fua, // flush
  F.fua, // trim
  F.fua, // cache
  F.fua | F.noHole | F.fastZero, // write zeroes
  F.fua | F.reqOne, // block status
];

export type Terms = {
  readonly size: number;
  readonly unit: number;
  readonly readOnly: boolean;
  readonly structured: boolean;
  readonly extended: boolean;
  /** base:allocation was chosen. */
  readonly allocation: boolean;
};

/** The NBD error of a request that may not be, or 0. */
export function checkRequest(t: Terms, type: number, flags: number, offset: number, length: number): number {
  const allowed = ALLOWED[type];
  if (allowed === undefined) return NBD_ERROR.EINVAL;
  if ((flags & ~allowed) !== 0) return NBD_ERROR.EINVAL;
  if ((flags & F.df) !== 0 && !t.structured) return NBD_ERROR.EINVAL;
  if ((flags & F.payloadLength) !== 0 && !t.extended) return NBD_ERROR.EINVAL;
  if (type === NBD_COMMAND.flush || type === NBD_COMMAND.disconnect) return NBD_ERROR.none;
  const changes = type === NBD_COMMAND.write || type === NBD_COMMAND.trim || type === NBD_COMMAND.writeZeroes;
  if (changes && t.readOnly) return NBD_ERROR.EPERM;
  if (type === NBD_COMMAND.blockStatus && !t.allocation) return NBD_ERROR.EINVAL;
  if (length === 0) return NBD_ERROR.EINVAL;
  if (offset + length > t.size) return changes ? NBD_ERROR.ENOSPC : NBD_ERROR.EINVAL;
  const carries = type === NBD_COMMAND.read || type === NBD_COMMAND.write;
  if (carries && length > MAX_BLOCK) return NBD_ERROR.EINVAL;
  if (offset % t.unit !== 0 || length % t.unit !== 0) return NBD_ERROR.EINVAL;
  return NBD_ERROR.none;
}
