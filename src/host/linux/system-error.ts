import type { Text } from '../../base/index.ts';
import type { HostError } from '../index.ts';

/** The port's error for what a synchronous function of Node threw; anything that is no system error is a bug and goes on. */
export function systemError(e: unknown, doing: Text): HostError {
  if (e instanceof Error && 'code' in e && typeof e.code === 'string' && 'syscall' in e) return { code: e.code, doing };
  throw e;
}
