/** The transmission flags of an export: only what is true of what stands behind it. */
import { NBD_FLAG } from '../wire/index.ts';
import type { Export } from './types.ts';

export const isReadOnly = (e: Export): boolean => e.readOnly || e.backend.readOnly;

/** `structured`: the client asked for structured replies, without which DF means nothing. */
export function transmissionFlags(e: Export, structured: boolean): number {
  const b = e.backend;
  const writable = isReadOnly(e)
    ? NBD_FLAG.readOnly
    : NBD_FLAG.fua | NBD_FLAG.writeZeroes | NBD_FLAG.fastZero | (b.canTrim ? NBD_FLAG.trim : 0);
  return (
    NBD_FLAG.hasFlags |
    NBD_FLAG.flush |
    writable |
    (b.rotational ? NBD_FLAG.rotational : 0) |
    (structured ? NBD_FLAG.df : 0) |
    (b.canMultiConn || isReadOnly(e) ? NBD_FLAG.canMultiConn : 0) |
    (b.canCache ? NBD_FLAG.cache : 0)
  );
}
