/**
 * One proxied connection: opening, relaying, and how it ends. Pure; the bytes themselves go from socket to socket
 * and are only counted here.
 */
import { type Microseconds, unreachable, us } from '../../../base/index.ts';
import type { ServerKey } from '../../types.ts';

export type Side = 'client' | 'server';
export type Session =
  | { readonly is: 'connecting'; readonly server: ServerKey; readonly tried: ReadonlySet<ServerKey> }
  | {
      readonly is: 'open';
      readonly server: ServerKey;
      /** Has sent its last byte. */
      readonly ended: { readonly client: boolean; readonly server: boolean };
      /** Bytes in both directions at the last look, and since when they have not changed. */
      readonly bytes: number;
      readonly quietSince: Microseconds;
    }
  | { readonly is: 'over'; readonly because: SessionEnd };
export type SessionEnd =
  /** Both sides sent their last byte. */
  | 'done'
  /** A side broke off. */
  | 'aborted'
  | 'no-server'
  /** Its server was removed, or this service. */
  | 'cut'
  | 'idle';

export type SessionEvent =
  | { readonly kind: 'connected' }
  /** `next`: who is tried now; undefined: nobody is left. */
  | { readonly kind: 'refused'; readonly next: ServerKey | undefined }
  | { readonly kind: 'ended' | 'closed'; readonly side: Side }
  | { readonly kind: 'look'; readonly bytes: number }
  | { readonly kind: 'cut' };
export type SessionEffect =
  | { readonly do: 'connect'; readonly server: ServerKey }
  | { readonly do: 'give-up-connecting' }
  /** The header, where one is wanted, then bytes both ways. */
  | { readonly do: 'relay' }
  | { readonly do: 'destroy'; readonly side: Side; readonly how: 'reset' | 'close' };
export type SessionStep = { readonly session: Session; readonly effects: readonly SessionEffect[] };

export const opening = (server: ServerKey): SessionStep => ({
  session: { is: 'connecting', server, tried: new Set([server]) },
  effects: [{ do: 'connect', server }],
});

export function stepSession(idle: Microseconds, s: Session, e: SessionEvent, now: Microseconds): SessionStep {
  switch (s.is) {
    case 'connecting':
      return whileConnecting(s, e, now);
    case 'open':
      return whileOpen(idle, s, e, now);
    case 'over':
      return { session: s, effects: [] };
    default:
      return unreachable(s);
  }
}

const over = (because: SessionEnd, ...effects: SessionEffect[]): SessionStep => ({
  session: { is: 'over', because },
  effects,
});
const reset = (side: Side): SessionEffect => ({ do: 'destroy', side, how: 'reset' });

function whileConnecting(s: Extract<Session, { is: 'connecting' }>, e: SessionEvent, now: Microseconds): SessionStep {
  switch (e.kind) {
    case 'connected': {
      const ended = { client: false, server: false };
      return {
        session: { is: 'open', server: s.server, ended, bytes: 0, quietSince: now },
        effects: [{ do: 'relay' }],
      };
    }
    case 'refused':
      if (e.next === undefined) return over('no-server', reset('client'));
      return {
        session: { is: 'connecting', server: e.next, tried: new Set([...s.tried, e.next]) },
        effects: [{ do: 'connect', server: e.next }],
      };
    case 'closed':
      return over('aborted', { do: 'give-up-connecting' });
    case 'cut':
      return over('cut', { do: 'give-up-connecting' }, reset('client'));
    case 'ended':
    case 'look':
      return { session: s, effects: [] };
    default:
      return unreachable(e);
  }
}

function whileOpen(
  idle: Microseconds,
  s: Extract<Session, { is: 'open' }>,
  e: SessionEvent,
  now: Microseconds,
): SessionStep {
  switch (e.kind) {
    case 'ended':
      return { session: { ...s, ended: { ...s.ended, [e.side]: true } }, effects: [] };
    case 'closed': {
      const other: Side = e.side === 'client' ? 'server' : 'client';
      const both = s.ended.client && s.ended.server;
      // What the other was sent last may still be on its way to it.
      return both ? over('done', { do: 'destroy', side: other, how: 'close' }) : over('aborted', reset(other));
    }
    case 'look':
      if (e.bytes !== s.bytes) return { session: { ...s, bytes: e.bytes, quietSince: now }, effects: [] };
      if (now < us(s.quietSince + idle)) return { session: s, effects: [] };
      return over('idle', reset('client'), reset('server'));
    case 'cut':
      return over('cut', reset('client'), reset('server'));
    case 'connected':
    case 'refused':
      return { session: s, effects: [] };
    default:
      return unreachable(e);
  }
}
