/**
 * From two sockets to Connected, or to the first step of a resync: features, authentication, parameters, and for each
 * volume the decision whose data is newer. Pure: random bytes come in with the configuration of the attempt, time with the
 * event. Speaks protocol 100 and 101, which every DRBD since 8.4.0 does.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Microseconds, type Text, text, us } from '../../base/index.ts';
import {
  DRBD_DISKS,
  DRBD_OPENING,
  DRBD_ROLES,
  DRBD_UUID_FLAG,
  type DrbdConnection,
  type DrbdPacket,
  decodeState,
  digestLengthOf,
  type FeaturesPacket,
  type SizesPacket,
  type StatePacket,
  type SyncParamPacket,
  type UuidsPacket,
} from '../../wire/index.ts';
import { type Decision, decideHandshake } from '../metadata/index.ts';
import { protocolMismatch, syncParamMismatch } from './agreement.ts';
import { agreeSize } from './sizes.ts';
import { fittingDisks } from './state.ts';
import { parameterPackets, roleOf, stateWord } from './tell.ts';
import type {
  ConnectConfig,
  ConnectEffect,
  ConnectEvent,
  ConnectState,
  ConnectStep,
  PeerVolume,
  Phase,
  VolumeFacts,
} from './types.ts';

const MIN_VERSION = 86;
const MAX_VERSION = 101;
/** Below it there are three more forms of header and no volumes: not spoken by this machine. */
const LEAST_SPOKEN = 100;
/** Bytes of our challenge; the peer's may have up to twice as many. */
const CHALLENGE_BYTES = 64;

export const startConnect = (): ConnectState => ({
  phase: { is: 'sockets', data: false, meta: false },
  dialect: DRBD_OPENING,
  resolver: false,
});

/** When the next tick is due. */
export function connectDeadline(s: ConnectState): Microseconds | undefined {
  return 'until' in s.phase ? s.phase.until : undefined;
}

/** `challenge`: CHALLENGE_BYTES random bytes of this attempt. */
export function stepConnect(
  c: ConnectConfig,
  s: ConnectState,
  e: ConnectEvent,
  now: Microseconds,
  challenge: Uint8Array,
): ConnectStep {
  if (s.phase.is === 'ended') return { state: s, effects: [] };
  switch (e.kind) {
    case 'socket':
      return onSocket(c, s, e, now);
    case 'closed':
      return end(s, text('the peer closed the connection', '对端关闭了连接'), true);
    case 'tick':
      return onTick(c, s, now);
    case 'packet':
      return onPacket(c, s, e.packet, now, challenge);
    case 'told':
      return s.phase.is === 'parameters' && s.phase.decided.size > 0 ? go(s, { is: 'connected' }) : stay(s);
  }
}

const go = (s: ConnectState, phase: Phase, ...effects: ConnectEffect[]): ConnectStep => ({
  state: { ...s, phase },
  effects,
});
const stay = (s: ConnectState, ...effects: ConnectEffect[]): ConnectStep => ({ state: s, effects });
const end = (s: ConnectState, because: Text, retry: boolean): ConnectStep =>
  go(s, { is: 'ended', because, retry }, { kind: 'close', because, retry });
const send = (packet: DrbdPacket): ConnectEffect => ({ kind: 'send', socket: 'data', packet });
const within = (c: ConnectConfig, now: Microseconds): Microseconds => us(now + c.answerWithin);

function onSocket(
  c: ConnectConfig,
  s: ConnectState,
  e: ConnectEvent & { kind: 'socket' },
  now: Microseconds,
): ConnectStep {
  // Where calls crossed, one that was there already may give way to another before it is used.
  if (s.phase.is !== 'sockets' && s.phase.is !== 'settling') return stay(s);
  const before = s.phase.is === 'sockets' ? s.phase : { is: 'sockets' as const, data: true, meta: true };
  const phase = { ...before, [e.socket]: true };
  const resolver = e.socket === 'meta' ? e.opened === 'there' : s.resolver;
  const effects: ConnectEffect[] = [];
  if (e.opened === 'here')
    effects.push({
      kind: 'send',
      socket: e.socket,
      packet: { kind: e.socket === 'data' ? 'P_INITIAL_DATA' : 'P_INITIAL_META', volume: 0 },
    });
  // Whoever accepts the data socket opens the other at once: the peer waits for it, up to ten seconds.
  else if (e.socket === 'data' && !phase.meta) effects.push({ kind: 'open', socket: 'meta' });
  const both = phase.data && phase.meta;
  return {
    state: { ...s, resolver, phase: both ? { is: 'settling', until: us(now + c.socketCheck) } : phase },
    effects,
  };
}

function onTick(c: ConnectConfig, s: ConnectState, now: Microseconds): ConnectStep {
  if (!('until' in s.phase) || now < s.phase.until) return stay(s);
  if (s.phase.is !== 'settling') return end(s, text('the peer does not answer', '对端没有应答'), true);
  const features: FeaturesPacket = {
    kind: 'P_CONNECTION_FEATURES',
    volume: 0,
    minVersion: MIN_VERSION,
    maxVersion: MAX_VERSION,
    features: c.features,
    rest: new Uint8Array(60),
  };
  return go(s, { is: 'features', until: within(c, now) }, send(features));
}

function onPacket(
  c: ConnectConfig,
  s: ConnectState,
  p: DrbdPacket,
  now: Microseconds,
  challenge: Uint8Array,
): ConnectStep {
  if (p.kind === 'P_PING') return stay(s, { kind: 'send', socket: 'meta', packet: { kind: 'P_PING_ACK', volume: 0 } });
  if (p.kind === 'P_PING_ACK') return stay(s);
  switch (s.phase.is) {
    // The peer's settling time may end before ours: its features come while we still wait, and count as ours does.
    case 'settling': {
      if (p.kind !== 'P_CONNECTION_FEATURES') break;
      const sent = onTick(c, s, s.phase.until);
      const then = onFeatures(c, sent.state, p, now, challenge);
      return { state: then.state, effects: [...sent.effects, ...then.effects] };
    }
    case 'features':
      if (p.kind !== 'P_CONNECTION_FEATURES') break;
      return onFeatures(c, s, p, now, challenge);
    case 'authenticating':
      return onAuth(c, s, s.phase, p, challenge);
    case 'parameters':
      return onParameter(c, s, s.phase, p);
    case 'connected': // the next machine's
      return stay(s);
  }
  return end(s, text(`${p.kind} came out of turn`, `${p.kind} 的出现不合时宜`), true);
}

function onFeatures(
  c: ConnectConfig,
  s: ConnectState,
  p: FeaturesPacket,
  now: Microseconds,
  challenge: Uint8Array,
): ConnectStep {
  const most = p.maxVersion === 0 ? p.minVersion : p.maxVersion;
  const version = Math.min(MAX_VERSION, most);
  if (version < LEAST_SPOKEN || p.minVersion > MAX_VERSION)
    return end(
      s,
      text(
        `no common protocol: ${p.minVersion} to ${most} there, ${LEAST_SPOKEN} to ${MAX_VERSION} here`,
        `没有共同的协议版本：对端 ${p.minVersion} 至 ${most}，本机 ${LEAST_SPOKEN} 至 ${MAX_VERSION}`,
      ),
      false,
    );
  const dialect = { version, features: p.features & c.features, digestLength: 0 };
  const agreed: ConnectStep = stay({ ...s, dialect }, { kind: 'agree', dialect });
  const next =
    c.auth === undefined
      ? tellParameters(c, agreed.state)
      : go(
          agreed.state,
          { is: 'authenticating', until: within(c, now), answered: false },
          send({ kind: 'P_AUTH_CHALLENGE', volume: 0, bytes: challenge }),
        );
  return { state: next.state, effects: [...agreed.effects, ...next.effects] };
}

function onAuth(
  c: ConnectConfig,
  s: ConnectState,
  phase: Phase & { is: 'authenticating' },
  p: DrbdPacket,
  challenge: Uint8Array,
): ConnectStep {
  const auth = c.auth as NonNullable<ConnectConfig['auth']>;
  const answer = (to: Uint8Array): Uint8Array =>
    new Uint8Array(createHmac(auth.algorithm, auth.secret).update(to).digest());
  const refuse = (en: string, zh: string): ConnectStep => end(s, text(en, zh), false);
  if (p.kind === 'P_AUTH_CHALLENGE' && !phase.answered) {
    if (p.bytes.length < CHALLENGE_BYTES || p.bytes.length > 2 * CHALLENGE_BYTES)
      return refuse(`a challenge of ${p.bytes.length} bytes`, `质询长度为 ${p.bytes.length} 字节`);
    if (Buffer.compare(p.bytes, challenge) === 0)
      return refuse('the peer sent our own challenge back', '对端把本机的质询原样发回');
    const bytes = answer(p.bytes);
    return go(s, { ...phase, answered: true }, send({ kind: 'P_AUTH_RESPONSE', volume: 0, bytes }));
  }
  if (p.kind === 'P_AUTH_RESPONSE' && phase.answered) {
    const want = answer(challenge);
    if (want.length !== p.bytes.length || !timingSafeEqual(want, p.bytes))
      return refuse('the peer has another shared-secret', '对端的 shared-secret 不同');
    return tellParameters(c, s);
  }
  return refuse(
    `${p.kind} came while authenticating: cram-hmac-alg is set on one side only?`,
    `认证期间收到 ${p.kind}：是否只有一端设置了 cram-hmac-alg？`,
  );
}

/** All that we have to tell goes at once, without waiting for the peer's. */
const tellParameters = (c: ConnectConfig, s: ConnectState): ConnectStep =>
  go(
    s,
    { is: 'parameters', protocol: undefined, peers: new Map(), decided: new Set() },
    ...parameterPackets(c, s.dialect).map(send),
  );

function onParameter(
  c: ConnectConfig,
  s: ConnectState,
  phase: Phase & { is: 'parameters' },
  p: DrbdPacket,
): ConnectStep {
  if (p.kind === 'P_PROTOCOL' && phase.protocol === undefined) {
    const wrong = protocolMismatch(c, p);
    if (wrong !== undefined) return end(s, wrong, false);
    const dialect = { ...s.dialect, digestLength: digestLengthOf(p.integrity) ?? 0 };
    return go({ ...s, dialect }, { ...phase, protocol: p }, { kind: 'agree', dialect });
  }
  if (p.kind === 'P_AUTH_CHALLENGE' && c.auth === undefined) return end(s, AUTHENTICATE, false);
  // What comes of a volume that is decided (the peer's second P_STATE, its bitmap) is for the machine behind this one.
  if (phase.decided.has(p.volume)) return stay(s);
  const mine = c.volumes.find((v) => v.volume === p.volume);
  if (phase.protocol === undefined || !isParameter(p))
    return end(s, text(`${p.kind} came out of turn`, `${p.kind} 的出现不合时宜`), true);
  // The peer has a volume that is not here (yet): as the kernel, what it tells of it is passed over.
  if (mine === undefined) return stay(s);
  const known: PeerVolume = phase.peers.get(p.volume) ?? {};
  const peer: PeerVolume = { ...known, ...entry(p) };
  const told = { ...phase, peers: new Map(phase.peers).set(p.volume, peer) };
  if (p.kind === 'P_SYNC_PARAM89') {
    const wrong = syncParamMismatch(mine, p);
    if (wrong !== undefined) return end(s, wrong, false);
  }
  if (p.kind !== 'P_STATE') return go(s, told);
  const effects = decideVolume(c, s, mine, peer, p.state);
  const last = effects.at(-1);
  if (last?.kind === 'close') return go(s, { is: 'ended', because: last.because, retry: last.retry }, ...effects);
  const decided = new Set(phase.decided).add(mine.volume);
  const all = c.volumes.every((v) => decided.has(v.volume));
  return go(s, all ? { is: 'connected' } : { ...told, decided }, ...effects);
}

type Parameter = SyncParamPacket | SizesPacket | UuidsPacket | StatePacket;
const isParameter = (p: DrbdPacket): p is Parameter =>
  p.kind === 'P_SYNC_PARAM89' || p.kind === 'P_SIZES' || p.kind === 'P_UUIDS' || p.kind === 'P_STATE';
function entry(p: Parameter): PeerVolume {
  switch (p.kind) {
    case 'P_SIZES':
      return { sizes: p };
    case 'P_UUIDS':
      return { uuids: p };
    case 'P_STATE':
      return { state: p };
    default:
      return { syncParam: p };
  }
}

/**
 * All of one volume has been told, its state with `word`: whose data is newer, and what we are to each other now. Where the two
 * cannot be connected the last effect is `close`.
 */
export function decideVolume(
  c: ConnectConfig,
  s: Pick<ConnectState, 'dialect' | 'resolver'>,
  mine: VolumeFacts,
  peer: PeerVolume,
  word: number,
): readonly ConnectEffect[] {
  const close = (because: Text, retry: boolean): ConnectEffect => ({ kind: 'close', because, retry });
  const theirs = decodeState(word);
  const peerDisk = DRBD_DISKS[theirs.disk] ?? 'DUnknown';
  if (peer.sizes === undefined) return [close(text('P_STATE came before P_SIZES', 'P_STATE 先于 P_SIZES 到达'), true)];
  const agreed = agreeSize(mine, peer.sizes, peerDisk);
  if (!agreed.ok) return [close(agreed.error, false)];
  const size = agreed.value;
  let connection: DrbdConnection = 'Connected';
  let decision: Decision | undefined;
  let { primary } = mine;
  if (mine.disk !== 'Diskless' && peer.uuids !== undefined) {
    const { uuids, bits, flags } = peer.uuids;
    decision = decideHandshake({
      mine: { ...mine, discardMyData: c.discardMyData },
      peer: {
        uuids,
        bits,
        disk: peerDisk,
        primary: DRBD_ROLES[theirs.role] === 'Primary',
        crashedPrimary: (flags & DRBD_UUID_FLAG.crashedPrimary) !== 0,
        discardMyData: (flags & DRBD_UUID_FLAG.discardMyData) !== 0,
      },
      version: s.dialect.version,
      features: s.dialect.features,
      resolver: s.resolver,
      policies: c.policies,
      alwaysAsbp: c.alwaysAsbp,
      rrConflict: c.rrConflict,
      dryRun: c.dryRun,
    });
    if (decision.outcome.do === 'drop') {
      const words = (l: 'en' | 'zh'): string =>
        (decision?.reasons ?? []).map((r) => r[l]).join(l === 'en' ? '; ' : '；');
      return [{ kind: 'decided', volume: mine.volume, size, decision }, close(text(words('en'), words('zh')), false)];
    }
    // If it cannot, nothing is sent behind the decision.
    if (decision.outcome.do !== 'connect' && decision.outcome.demote) primary = false;
    if (decision.outcome.do === 'source') connection = 'WFBitMapS';
    if (decision.outcome.do === 'target') connection = 'WFBitMapT';
  }
  const state = stateWord(
    connection,
    [roleOf(primary), theirs.role],
    fittingDisks(connection, mine.disk, peerDisk),
    mine.pause,
  );
  return [
    { kind: 'decided', volume: mine.volume, size, decision },
    send({ kind: 'P_STATE', volume: mine.volume, state }),
  ];
}
const AUTHENTICATE = text(
  'the peer wants authentication: cram-hmac-alg is set on its side only',
  '对端要求认证：只有对端设置了 cram-hmac-alg',
);
