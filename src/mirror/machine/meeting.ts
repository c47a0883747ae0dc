/**
 * Which TCP connections become the two sockets. Both sides call, and take calls; the first packet of a call names its socket.
 * Where both called for the same socket at once, DRBD takes the newcomer in the place of its own call, so that two of a kind
 * throw both away. Here the side with the lower address keeps its own call for the data socket, and the other holds both
 * until one of them ends: a peer of ours ends the call of the higher side, a kernel the one that it made itself. So one of
 * both is always left. For the meta socket the call of whoever took the data socket stays: a kernel that has both takes no call.
 */
import { type Text, text } from '../../base/index.ts';
import type { DrbdSocket } from '../../wire/index.ts';

/** `C`: a call, as the driver knows it. */
type Place<C> = {
  readonly call: C;
  readonly opened: 'here' | 'there';
  /** A call of the peer's for the same socket, beside ours. */
  readonly rival: C | undefined;
};
export type Meeting<C> = {
  /** `settled`: both sides have agreed on how to speak, and nothing is replaced any more. */
  readonly is: 'idle' | 'seeking' | 'settled';
  readonly dials: Readonly<Record<DrbdSocket, boolean>>;
  readonly places: Readonly<Record<DrbdSocket, Place<C> | undefined>>;
};
export type MeetingEvent<C> =
  | { readonly kind: 'seek' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'agreed' }
  /** The time of a `plan` has come. */
  | { readonly kind: 'due' }
  /** The connection machine wants this socket now. */
  | { readonly kind: 'open'; readonly socket: DrbdSocket }
  | { readonly kind: 'connected'; readonly socket: DrbdSocket; readonly call: C }
  | { readonly kind: 'failed'; readonly socket: DrbdSocket }
  /** The first packet of a call of the peer's. */
  | { readonly kind: 'named'; readonly socket: DrbdSocket; readonly call: C }
  | { readonly kind: 'ended'; readonly call: C; readonly because: Text };
export type MeetingEffect<C> =
  | { readonly kind: 'dial'; readonly socket: DrbdSocket }
  /** `due` comes then, and not when an earlier plan said. Each after a random time, so that two sides do not go in step. */
  | { readonly kind: 'plan'; readonly when: 'start' | 'soon' | 'again' | 'interval' }
  | { readonly kind: 'hang-up'; readonly call: C }
  /** Nothing is read from it; its end is told. */
  | { readonly kind: 'hold'; readonly call: C }
  /** From now on this is the socket, instead of what was before. */
  | { readonly kind: 'take'; readonly socket: DrbdSocket; readonly call: C; readonly opened: 'here' | 'there' }
  /** There is no connection any more. */
  | { readonly kind: 'over'; readonly because: Text };
export type MeetingStep<C> = { readonly state: Meeting<C>; readonly effects: readonly MeetingEffect<C>[] };

export const startMeeting = <C>(is: 'idle' | 'seeking' = 'idle'): Meeting<C> => ({
  is,
  dials: { data: false, meta: false },
  places: { data: undefined, meta: undefined },
});
const SOCKETS = ['data', 'meta'] as const;
const CALLED_AGAIN = text('the peer called again: it has lost this connection', '对端再次呼叫：它已失去此连接');

/** `keeps`: our own calls stay where both sides called at once. Of two sides one does. */
export function stepMeeting<C>(keeps: boolean, s: Meeting<C>, e: MeetingEvent<C>): MeetingStep<C> {
  const stay = (...effects: MeetingEffect<C>[]): MeetingStep<C> => ({ state: s, effects });
  switch (e.kind) {
    case 'seek':
      return { state: startMeeting('seeking'), effects: [{ kind: 'plan', when: 'start' }] };
    case 'stop':
      return { state: startMeeting(), effects: rivals(s) };
    case 'agreed':
      return {
        state: { ...s, is: s.is === 'seeking' ? 'settled' : s.is, places: alone(s.places) },
        effects: rivals(s),
      };
    case 'due': {
      const missing = SOCKETS.find((one) => s.places[one] === undefined);
      if (s.is !== 'seeking' || missing === undefined || s.dials.data || s.dials.meta) return stay();
      return dial(s, missing);
    }
    case 'open':
      return s.is !== 'seeking' || s.places[e.socket] !== undefined || s.dials[e.socket] ? stay() : dial(s, e.socket);
    case 'failed':
      return {
        state: dialled(s, e.socket),
        effects: s.is === 'seeking' ? [{ kind: 'plan', when: 'again' }] : [],
      };
    case 'connected': {
      const next = dialled(s, e.socket);
      // The peer was quicker: it hears of this call no more than that it has ended.
      if (s.is !== 'seeking' || s.places[e.socket] !== undefined)
        return { state: next, effects: [{ kind: 'hang-up', call: e.call }] };
      const taken = take(next, e.socket, e.call, 'here');
      return { state: taken.state, effects: [{ kind: 'plan', when: 'interval' }, ...taken.effects] };
    }
    case 'named':
      return named(keeps, s, e.socket, e.call);
    case 'ended':
      return ended(s, e.call, e.because);
  }
}

function named<C>(keeps: boolean, s: Meeting<C>, socket: DrbdSocket, call: C): MeetingStep<C> {
  const hangUp = (one: C): MeetingEffect<C> => ({ kind: 'hang-up', call: one });
  if (s.is === 'idle') return { state: s, effects: [hangUp(call)] };
  if (s.is === 'settled') return { state: s, effects: [hangUp(call), { kind: 'over', because: CALLED_AGAIN }] };
  const place = s.places[socket];
  if (place === undefined) return take(s, socket, call, 'there');
  // Whoever took the call for the data socket calls for the other: its call stays.
  const gives = socket === 'meta' && s.places.data?.opened === 'here';
  if (place.opened === 'there' || gives) {
    const taken = take(s, socket, call, 'there');
    return { state: taken.state, effects: [hangUp(place.call), ...taken.effects] };
  }
  if (socket === 'meta') return { state: s, effects: [hangUp(call)] };
  // A kernel may wait for a call now, or call: we do so unless it is quick.
  if (keeps) return { state: s, effects: [hangUp(call), { kind: 'plan', when: 'soon' }] };
  const before = place.rival === undefined ? [] : [hangUp(place.rival)];
  return { state: put(s, socket, { ...place, rival: call }), effects: [...before, { kind: 'hold', call }] };
}
function ended<C>(s: Meeting<C>, call: C, because: Text): MeetingStep<C> {
  for (const socket of SOCKETS) {
    const place = s.places[socket];
    if (place?.call === call) {
      if (place.rival !== undefined) return take(s, socket, place.rival, 'there');
      // The peer prefers its own call, which is still on its way; or it looks for nobody.
      if (s.is === 'seeking' && socket === 'data' && place.opened === 'here' && s.places.meta === undefined)
        return { state: put(s, socket, undefined), effects: [{ kind: 'plan', when: 'again' }] };
      return { state: s, effects: [{ kind: 'over', because }] };
    }
    if (place !== undefined && place.rival === call)
      return { state: put(s, socket, { ...place, rival: undefined }), effects: [{ kind: 'plan', when: 'soon' }] };
  }
  return { state: s, effects: [] };
}

const put = <C>(s: Meeting<C>, socket: DrbdSocket, place: Place<C> | undefined): Meeting<C> => ({
  ...s,
  places: { ...s.places, [socket]: place },
});
const take = <C>(s: Meeting<C>, socket: DrbdSocket, call: C, opened: 'here' | 'there'): MeetingStep<C> => ({
  state: put(s, socket, { call, opened, rival: undefined }),
  effects: [{ kind: 'take', socket, call, opened }],
});
const dial = <C>(s: Meeting<C>, socket: DrbdSocket): MeetingStep<C> => ({
  state: { ...s, dials: { ...s.dials, [socket]: true } },
  effects: [{ kind: 'dial', socket }],
});
const dialled = <C>(s: Meeting<C>, socket: DrbdSocket): Meeting<C> => ({
  ...s,
  dials: { ...s.dials, [socket]: false },
});
const rivals = <C>(s: Meeting<C>): MeetingEffect<C>[] =>
  SOCKETS.flatMap((one) => {
    const call = s.places[one]?.rival;
    return call === undefined ? [] : [{ kind: 'hang-up' as const, call }];
  });
const alone = <C>(p: Meeting<C>['places']): Meeting<C>['places'] => {
  const without = (place: Place<C> | undefined): Place<C> | undefined =>
    place === undefined ? undefined : { ...place, rival: undefined };
  return { data: without(p.data), meta: without(p.meta) };
};
