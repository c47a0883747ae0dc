/**
 * One BFD session in asynchronous mode (RFC 5880 section 6.8), without echo, demand of our own, or authentication.
 * A pure function of configuration, session, event and time; chance comes in with the event.
 */
import { type Microseconds, unreachable, us } from '../base/index.ts';
import type { BfdPacket, BfdState } from '../wire/index.ts';
import type { BfdInstance } from './config.ts';

/** RFC 5880 section 4.1: the numbers of the reasons that this side gives. */
export const DIAGNOSTIC = { none: 0, silence: 1, neighbourDown: 3, administrative: 7 } as const;

/** Times are instants on the monotonic clock where the name ends in `At`, otherwise lengths. */
export type Session = {
  readonly state: BfdState;
  /** Why the session was last left. */
  readonly diagnostic: number;
  readonly localDiscriminator: number;
  /** What the neighbour said last. */
  readonly remote: Remote;
  /** What our packets announce. */
  readonly desiredMinTx: Microseconds;
  readonly requiredMinRx: Microseconds;
  /**
   * What is in force. A change that makes this side slower, or the neighbour faster, waits while the session is up
   * until the neighbour has answered a poll (RFC 5880 section 6.8.3).
   */
  readonly txInForce: Microseconds;
  readonly rxInForce: Microseconds;
  /** Our packets carry the Poll bit until one with Final comes back. */
  readonly polling: boolean;
  readonly sentAt: Microseconds;
  /** The part of the interval that jitter takes off the next gap, drawn when the last packet left. */
  readonly jitter: number;
  /** When the next periodic packet is due; undefined while none may be sent. */
  readonly sendAt: Microseconds | undefined;
  /** When silence is judged; undefined while nothing is expected. */
  readonly detectAt: Microseconds | undefined;
};
export type Remote = {
  /** What it calls the session; 0 while that is unknown. */
  readonly discriminator: number;
  readonly state: BfdState;
  readonly minTx: Microseconds;
  readonly minRx: Microseconds;
  readonly multiplier: number;
  /** It wants no periodic packets while both sides are up. */
  readonly demand: boolean;
};

/** `chance` is uniform in [0, 1), drawn anew for every event. */
export type Event = { readonly chance: number } & (
  | {
      readonly kind: 'packet';
      readonly packet: BfdPacket;
      /** As received; undefined where the kernel did not say. */
      readonly ttl: number | undefined;
      /** When it reached the kernel: silence is counted from here. */
      readonly at: Microseconds;
    }
  /** A deadline may have passed. Whatever was queued on the socket has been fed in before. */
  | { readonly kind: 'tick' }
  /** The configuration given with this event differs from the last one's. */
  | { readonly kind: 'configured' }
  | { readonly kind: 'administer'; readonly down: boolean }
);

/** Why a packet that decodes changed nothing. */
export type Ignored = 'hops' | 'authentication' | 'discriminator' | 'state' | 'administratively-down';
export type Effect =
  | { readonly kind: 'send'; readonly packet: BfdPacket }
  | { readonly kind: 'state'; readonly from: BfdState; readonly to: BfdState; readonly diagnostic: number }
  | { readonly kind: 'ignored'; readonly why: Ignored }
  /** This process was late by so much that the neighbour's silence was not held against it. */
  | { readonly kind: 'stalled'; readonly late: Microseconds };
export type Step = { readonly session: Session; readonly effects: readonly Effect[] };

/** RFC 5880 section 6.8.3: while the session is not up, no faster than this. */
const SLOWEST_ALLOWED_IDLE = 1_000_000;
const UNKNOWN_REMOTE: Remote = {
  discriminator: 0,
  state: 'down',
  minTx: us(0),
  minRx: us(1), // RFC 5880 section 6.8.1
  multiplier: 0,
  demand: false,
};

/** `discriminator`: not 0, and no other session's of this host. An active session speaks at once. */
export function startSession(c: BfdInstance, discriminator: number, now: Microseconds): Session {
  const idle = idleInterval(c);
  return {
    state: 'down',
    diagnostic: DIAGNOSTIC.none,
    localDiscriminator: discriminator,
    remote: UNKNOWN_REMOTE,
    desiredMinTx: idle,
    requiredMinRx: c.minRx,
    txInForce: idle,
    rxInForce: c.minRx,
    polling: false,
    sentAt: now,
    jitter: 0,
    sendAt: c.passive ? undefined : now,
    detectAt: undefined,
  };
}

/** When `tick` is due next: one timer serves the session. */
export function deadline(s: Session): Microseconds | undefined {
  if (s.sendAt === undefined) return s.detectAt;
  if (s.detectAt === undefined) return s.sendAt;
  return us(Math.min(s.sendAt, s.detectAt));
}

/** How long the neighbour may be silent: RFC 5880 section 6.8.4. 0 while it has not spoken. */
export const detectionTime = (s: Session): Microseconds =>
  us(s.remote.multiplier * Math.max(s.rxInForce, s.remote.minTx));

export function step(c: BfdInstance, s: Session, e: Event, now: Microseconds): Step {
  switch (e.kind) {
    case 'packet':
      return receive(c, s, e, now);
    case 'tick':
      return tick(c, s, e.chance, now);
    case 'configured':
      return { session: schedule(c, negotiate(c, s), now), effects: [] };
    case 'administer': {
      if (e.down === (s.state === 'admin-down')) return { session: s, effects: [] };
      const [to, why] = e.down
        ? (['admin-down', DIAGNOSTIC.administrative] as const)
        : (['down', DIAGNOSTIC.none] as const);
      const moved = negotiate(c, { ...s, state: to, diagnostic: why });
      const sent = transmit(c, moved, e.chance, now, false);
      return { session: sent.session, effects: [stateEffect(s, moved), ...sent.effects] };
    }
    default:
      return unreachable(e);
  }
}

/** RFC 5880 section 6.8.6, in its order. */
function receive(c: BfdInstance, s: Session, e: Event & { kind: 'packet' }, now: Microseconds): Step {
  const p = e.packet;
  const why = refusal(c, s, p, e.ttl);
  if (why) return { session: s, effects: [{ kind: 'ignored', why }] };
  let next: Session = {
    ...s,
    remote: {
      discriminator: p.myDiscriminator,
      state: p.state,
      minTx: p.desiredMinTx,
      minRx: p.requiredMinRx,
      multiplier: p.multiplier,
      demand: p.demand,
    },
  };
  if (p.final && s.polling) next = { ...next, polling: false, txInForce: s.desiredMinTx, rxInForce: s.requiredMinRx };
  const [state, diagnostic] = transition(s.state, p.state, s.diagnostic);
  next = negotiate(c, { ...next, state, diagnostic });
  next = schedule(c, { ...next, detectAt: us(e.at + detectionTime(next)) }, now);
  const effects: Effect[] = state === s.state ? [] : [stateEffect(s, next)];
  // A poll is answered at once; and the neighbour learns of a new state at once, not an idle second later.
  if (!p.poll && state === s.state) return { session: next, effects };
  const sent = transmit(c, next, e.chance, now, p.poll);
  return { session: sent.session, effects: [...effects, ...sent.effects] };
}

function refusal(c: BfdInstance, s: Session, p: BfdPacket, ttl: number | undefined): Ignored | undefined {
  const checked = c.maxHops >= 0 && c.maxHops < 255;
  if (checked && (ttl === undefined || ttl < c.ttl - c.maxHops)) return 'hops';
  if (p.authentication !== undefined) return 'authentication';
  if (p.yourDiscriminator !== 0 && p.yourDiscriminator !== s.localDiscriminator) return 'discriminator';
  if (p.yourDiscriminator === 0 && p.state !== 'down' && p.state !== 'admin-down') return 'state';
  if (s.state === 'admin-down') return 'administratively-down';
  return undefined;
}

/** The state machine of RFC 5880 section 6.2. */
function transition(local: BfdState, remote: BfdState, diagnostic: number): readonly [BfdState, number] {
  const stay = [local, diagnostic] as const;
  switch (local) {
    case 'admin-down':
      return stay;
    case 'down':
      if (remote === 'down') return ['init', diagnostic];
      return remote === 'init' ? ['up', DIAGNOSTIC.none] : stay;
    case 'init':
      if (remote === 'admin-down') return ['down', DIAGNOSTIC.neighbourDown];
      return remote === 'down' ? stay : ['up', DIAGNOSTIC.none];
    case 'up':
      return remote === 'down' || remote === 'admin-down' ? ['down', DIAGNOSTIC.neighbourDown] : stay;
    default:
      return unreachable(local);
  }
}

function tick(c: BfdInstance, s: Session, chance: number, now: Microseconds): Step {
  const due = deadline(s);
  if (due === undefined || now < due) return { session: s, effects: [] };
  let next = s;
  const effects: Effect[] = [];
  if (s.detectAt !== undefined) {
    const late = us(now - due);
    // Whoever was away for so long cannot tell the neighbour's silence from its own deafness: it listens once more.
    if (late > detectionTime(s) / 2) {
      next = { ...next, detectAt: us(now + detectionTime(s)) };
      effects.push({ kind: 'stalled', late });
    } else if (now >= s.detectAt) {
      const lost = s.state === 'init' || s.state === 'up';
      next = negotiate(c, {
        ...next,
        remote: UNKNOWN_REMOTE, // RFC 5880 section 6.8.1: forgotten after a silence
        detectAt: undefined,
        ...(lost ? { state: 'down', diagnostic: DIAGNOSTIC.silence } : {}),
      });
      if (lost) {
        effects.push(stateEffect(s, next));
        const sent = transmit(c, next, chance, now, false);
        return { session: sent.session, effects: [...effects, ...sent.effects] };
      }
      next = schedule(c, next, now);
    }
  }
  if (next.sendAt !== undefined && now >= next.sendAt) {
    const sent = transmit(c, next, chance, now, false);
    return { session: sent.session, effects: [...effects, ...sent.effects] };
  }
  return { session: next, effects };
}

const idleInterval = (c: BfdInstance): Microseconds => us(Math.max(c.idleTx, c.minTx, SLOWEST_ALLOWED_IDLE));

/** Brings what we announce in line with state and configuration, with a poll where the neighbour must agree first. */
function negotiate(c: BfdInstance, s: Session): Session {
  const up = s.state === 'up';
  const desiredMinTx = up ? c.minTx : idleInterval(c);
  const requiredMinRx = c.minRx;
  const changed = desiredMinTx !== s.desiredMinTx || requiredMinRx !== s.requiredMinRx;
  const waits = up && (s.polling || changed);
  return {
    ...s,
    desiredMinTx,
    requiredMinRx,
    polling: waits,
    txInForce: waits ? us(Math.min(s.txInForce, desiredMinTx)) : desiredMinTx,
    rxInForce: waits ? us(Math.max(s.rxInForce, requiredMinRx)) : requiredMinRx,
  };
}

/** Whether periodic packets may be sent: RFC 5880 section 6.8.7. */
function speaks(c: BfdInstance, s: Session): boolean {
  if (c.passive && s.remote.discriminator === 0) return false;
  if (s.remote.minRx === 0) return false;
  return !(s.remote.demand && s.state === 'up' && s.remote.state === 'up' && !s.polling);
}

/** Sets when the next packet is due, counted from the last one: a shorter interval takes effect at once. */
function schedule(c: BfdInstance, s: Session, now: Microseconds): Session {
  if (!speaks(c, s)) return { ...s, sendAt: undefined };
  const gap = Math.floor(Math.max(s.txInForce, s.remote.minRx) * (1 - s.jitter));
  return { ...s, sendAt: us(Math.max(now, s.sentAt + gap)) };
}

/** One packet now: periodic, or at once because something changed or the neighbour polled (`final`). */
function transmit(c: BfdInstance, s: Session, chance: number, now: Microseconds, final: boolean): Step {
  // RFC 5880 section 6.8.7: up to a quarter off, and with a multiplier of 1 at least a tenth.
  const jitter = c.multiplier === 1 ? 0.1 + chance * 0.15 : chance * 0.25;
  const silent = c.passive && s.remote.discriminator === 0;
  if (silent) return { session: schedule(c, s, now), effects: [] };
  const packet: BfdPacket = {
    diagnostic: s.diagnostic,
    state: s.state,
    poll: s.polling && !final, // never both: RFC 5880 section 6.5
    final,
    controlPlaneIndependent: false,
    demand: false,
    multiplier: c.multiplier,
    myDiscriminator: s.localDiscriminator,
    yourDiscriminator: s.remote.discriminator,
    desiredMinTx: s.desiredMinTx,
    requiredMinRx: s.requiredMinRx,
    requiredMinEchoRx: us(0),
    authentication: undefined,
  };
  return { session: schedule(c, { ...s, sentAt: now, jitter }, now), effects: [{ kind: 'send', packet }] };
}

const stateEffect = (from: Session, to: Session): Effect => ({
  kind: 'state',
  from: from.state,
  to: to.state,
  diagnostic: to.diagnostic,
});
