/** A two-valued signal that must hold for a while before it is believed (process delays). */
import { type Microseconds, us } from '../../base/index.ts';

export type DebounceDelays = { readonly up: Microseconds; readonly down: Microseconds };
export type DebounceState = {
  readonly believed: boolean;
  /** The signal differs from what is believed, and wins at this time if it stays. */
  readonly turnsAt: Microseconds | undefined;
};
/** `believed` of the step differs from the one before exactly when the verdict turned. */
export const initialDebounce = (signal: boolean): DebounceState => ({ believed: signal, turnsAt: undefined });

/** To be called at every change of the signal, and when `turnsAt` is reached. */
export function stepDebounce(d: DebounceDelays, s: DebounceState, signal: boolean, now: Microseconds): DebounceState {
  if (signal === s.believed) return s.turnsAt === undefined ? s : { believed: s.believed, turnsAt: undefined };
  const turnsAt = s.turnsAt ?? us(now + (signal ? d.up : d.down));
  return now >= turnsAt ? { believed: signal, turnsAt: undefined } : { believed: s.believed, turnsAt };
}
