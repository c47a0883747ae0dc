/** The machine is put in the place of each of two kernels, hears what the other said, and must say what the kernel said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { drbdSights } from '../../../test/support/captures.ts';
import { us } from '../../base/index.ts';
import {
  AFTER_SPLIT_BRAIN,
  DRBD_CONNECTIONS,
  DRBD_DISKS,
  DRBD_UUID_FLAG,
  type DrbdDisk,
  type DrbdPacket,
  decodeState,
  describeState,
  type GenerationId,
  type QueueLimits,
  sector,
} from '../../wire/index.ts';
import { NO_GENERATION } from '../metadata/index.ts';
import {
  agreeSize,
  type ConnectConfig,
  type ConnectEffect,
  type ConnectState,
  connectDeadline,
  startConnect,
  stepConnect,
  type VolumeFacts,
} from './index.ts';

type Sight = ReturnType<typeof drbdSights>[number];
type Heard = {
  mine: DrbdPacket[];
  events: { socket: 'data' | 'meta'; packet: DrbdPacket }[];
  opened: Record<'data' | 'meta', 'here' | 'there'>;
};

/** What the end that opened the data socket said (`true`) or the other end (`false`), and what it heard. */
function hearing(name: string, openedData: boolean): Heard {
  const sights = drbdSights(name);
  const data = sights.findLast((s) => s.packet.kind === 'P_INITIAL_DATA') ?? assert.fail('no data socket');
  const meta = sights.findLast((s) => s.packet.kind === 'P_INITIAL_META') ?? assert.fail('no meta socket');
  const talk = sights.filter((s) => s.conversation === data.conversation || s.conversation === meta.conversation);
  // The meta socket was opened by the other end in every capture.
  const mine = (s: Sight): boolean =>
    s.conversation === data.conversation
      ? (s.direction === data.direction) === openedData
      : (s.direction === meta.direction) !== openedData;
  const socket = (s: Sight): 'data' | 'meta' => (s.conversation === data.conversation ? 'data' : 'meta');
  return {
    mine: talk.filter(mine).map((s) => s.packet),
    events: talk.filter((s) => !mine(s)).map((s) => ({ socket: socket(s), packet: s.packet })),
    opened: openedData ? { data: 'here', meta: 'there' } : { data: 'there', meta: 'here' },
  };
}
const of = <K extends DrbdPacket['kind']>(packets: readonly DrbdPacket[], kind: K, volume = 0) =>
  packets.find((p) => p.kind === kind && p.volume === volume) as Extract<DrbdPacket, { kind: K }> | undefined;
const LIMITS: QueueLimits = {
  physicalBlockSize: 512,
  logicalBlockSize: 512,
  alignmentOffset: 0,
  ioMin: 512,
  ioOpt: 0,
  discardEnabled: 1,
  discardZeroesData: 0,
  writeSameCapable: 0,
  pad: 0,
};
/** The settings that the kernel had, read off what it told. */
function configOf(h: Heard, secret?: string): ConnectConfig {
  const p = of(h.mine, 'P_PROTOCOL') as unknown as
    | {
        protocol: 1 | 2 | 3;
        afterSb: [number, number, number];
        twoPrimaries: number;
        integrity: string;
        connectFlags: number;
      }
    | undefined;
  const policy = <T>(i: 0 | 1 | 2): T => AFTER_SPLIT_BRAIN[p?.afterSb[i] ?? 0] as T;
  const volumes = [0, 1].flatMap((volume): VolumeFacts[] => {
    const state = h.mine.find((m) => m.kind === 'P_STATE' && m.volume === volume);
    const sync = h.mine.find((m) => m.kind === 'P_SYNC_PARAM89' && m.volume === volume);
    const sizes = h.mine.find((m) => m.kind === 'P_SIZES' && m.volume === volume);
    const uuids = h.mine.find((m) => m.kind === 'P_UUIDS' && m.volume === volume);
    if (
      state?.kind !== 'P_STATE' ||
      sync?.kind !== 'P_SYNC_PARAM89' ||
      sizes?.kind !== 'P_SIZES' ||
      uuids?.kind !== 'P_UUIDS'
    )
      return [];
    const s = decodeState(state.state);
    return [
      {
        volume,
        primary: s.role === 1,
        disk: DRBD_DISKS[s.disk] ?? 'Diskless',
        uuids: uuids.uuids,
        bits: uuids.bits,
        crashedPrimary: (uuids.flags & DRBD_UUID_FLAG.crashedPrimary) !== 0,
        sizes: { ...sizes, limits: sizes.limits ?? LIMITS },
        resyncRate: sync.resyncRate,
        verifyAlg: sync.verifyAlg,
        csumsAlg: sync.csumsAlg,
        controller: sync.controller ?? assert.fail('no controller'),
      },
    ];
  });
  return {
    features: of(h.mine, 'P_CONNECTION_FEATURES')?.features ?? 0xf,
    auth: secret === undefined ? undefined : { algorithm: 'sha1', secret: new TextEncoder().encode(secret) },
    protocol: p?.protocol ?? 3,
    policies: { none: policy(0), one: policy(1), two: policy(2) },
    alwaysAsbp: false,
    rrConflict: 'disconnect',
    discardMyData: ((p?.connectFlags ?? 0) & 1) !== 0,
    dryRun: false,
    twoPrimaries: p?.twoPrimaries === 1,
    integrity: p?.integrity ?? '',
    socketCheck: us(500_000),
    answerWithin: us(2_000_000),
    volumes,
  };
}
type Run = { state: ConnectState; said: DrbdPacket[]; effects: ConnectEffect[] };
function replay(h: Heard, c: ConnectConfig): Run {
  const run: Run = { state: startConnect(), said: [], effects: [] };
  const challenge = h.mine.find((m) => m.kind === 'P_AUTH_CHALLENGE');
  const random = challenge?.kind === 'P_AUTH_CHALLENGE' ? challenge.bytes : new Uint8Array(64);
  const step = (e: Parameters<typeof stepConnect>[2], now: number): void => {
    const next = stepConnect(c, run.state, e, us(now), random);
    run.state = next.state;
    run.effects.push(...next.effects);
    for (const f of next.effects) if (f.kind === 'send') run.said.push(f.packet);
  };
  step({ kind: 'socket', socket: 'data', opened: h.opened.data }, 0);
  step({ kind: 'socket', socket: 'meta', opened: h.opened.meta }, 0);
  step({ kind: 'tick' }, connectDeadline(run.state) ?? assert.fail('the sockets settle'));
  for (const e of h.events) if (!e.packet.kind.startsWith('P_INITIAL')) step({ kind: 'packet', ...e }, 600_000);
  return run;
}
/** Without pads, which kernels leave as they are, and up to the last packet of the handshake. */
const plain = (p: DrbdPacket): DrbdPacket =>
  p.kind === 'P_SIZES' && p.limits ? { ...p, limits: { ...p.limits, pad: 0 } } : p;
const handshake = (packets: readonly DrbdPacket[]): DrbdPacket[] =>
  packets.filter((p) => !['P_PING', 'P_PING_ACK'].includes(p.kind)).map(plain);

for (const [name, secret, last] of [
  ['01-first-connect-idle', undefined, { first: 'cs:Connected', second: 'cs:Connected' }],
  ['05-disconnect-reconnect-bitmap-resync', undefined, { first: 'cs:WFBitMapS', second: 'cs:WFBitMapT' }],
  ['07-reconnect-resync-after-verify', undefined, { first: 'cs:WFBitMapS', second: 'cs:WFBitMapT' }],
  ['12-auth-two-volumes-connect-clear-bitmap', 'not-a-secret', { first: 'cs:Connected', second: 'cs:Connected' }],
  ['24-userspace-peer-full-sync', undefined, { first: 'cs:WFBitMapS', second: 'cs:WFBitMapT' }],
] as const)
  for (const openedData of [true, false])
    test(`in the place of the kernel that ${openedData ? 'opened' : 'accepted'} the data socket of capture ${name} the machine says what it said`, () => {
      const h = hearing(name, openedData);
      const c = configOf(h, secret);
      const run = replay(h, c);
      assert.equal(run.state.phase.is, 'connected', JSON.stringify(run.state.phase));
      const said = handshake(run.said);
      // Of several volumes the answers may interleave otherwise: what is said of each is compared, in order.
      for (const volume of [0, 1]) {
        const ours = said.filter((p) => p.volume === volume);
        assert.deepEqual(
          ours,
          handshake(h.mine)
            .filter((p) => p.volume === volume)
            .slice(0, ours.length),
        );
      }
      const state = said.findLast((p) => p.kind === 'P_STATE');
      const words = state?.kind === 'P_STATE' ? describeState(state.state) : '';
      assert.ok(
        Object.values(last).some((w) => words.startsWith(w)),
        words,
      );
    });

for (const openedData of [true, false])
  test(`in capture 10 the machine stays apart as the kernel that ${openedData ? 'opened' : 'accepted'} did, and says why`, () => {
    const h = hearing('10-split-brain-refused', openedData);
    const run = replay(h, configOf(h));
    const { phase } = run.state;
    assert.ok(phase.is === 'ended' && !phase.retry);
    assert.match(phase.because.en, /^rule 90: .*an operator must choose/);
    assert.deepEqual(handshake(run.said), handshake(h.mine));
  });
test('in capture 20 the machine that knows the secret refuses the peer that has another, and goes on with the one that knows it', () => {
  const auth = { algorithm: 'sha1', secret: new TextEncoder().encode('not-a-secret') };
  const [opener, acceptor] = [hearing('20-wrong-shared-secret', true), hearing('20-wrong-shared-secret', false)];
  const refused = replay(acceptor, { ...configOf(acceptor), auth }).state.phase;
  assert.ok(refused.is === 'ended' && !refused.retry);
  assert.equal(refused.because.en, 'the peer has another shared-secret');
  assert.equal(replay(opener, { ...configOf(opener), auth }).state.phase.is, 'parameters');
  const alone = replay(opener, { ...configOf(opener), auth: undefined }).state.phase;
  assert.ok(alone.is === 'ended', 'a side without cram-hmac-alg does not take a challenge');
});
test('a challenge that is our own, sent back, is refused', () => {
  const h = hearing('12-auth-two-volumes-connect-clear-bitmap', true);
  const own = of(h.mine, 'P_AUTH_CHALLENGE') ?? assert.fail();
  const events = h.events.map((e) => (e.packet.kind === 'P_AUTH_CHALLENGE' ? { ...e, packet: own } : e));
  const { phase } = replay({ ...h, events }, configOf(h, 'not-a-secret')).state;
  assert.ok(phase.is === 'ended' && phase.because.en === 'the peer sent our own challenge back');
});

test('a peer that wants authentication where we have none is not tried again and again: StandAlone, and why', () => {
  const c = configOf(hearing('01-first-connect-idle', true));
  const phase = { is: 'parameters', protocol: undefined, peers: new Map(), decided: new Set<number>() } as const;
  const packet = { kind: 'P_AUTH_CHALLENGE', volume: 0, bytes: new Uint8Array(64).fill(1) } as const;
  const e = { kind: 'packet', socket: 'data', packet } as const;
  const { state } = stepConnect(c, { ...startConnect(), phase }, e, us(0), new Uint8Array(64));
  assert.ok(state.phase.is === 'ended' && !state.phase.retry);
  assert.match(state.phase.because.en, /cram-hmac-alg is set on its side only/);
});
test('settings that differ are named with both values, and end in StandAlone', () => {
  const h = hearing('01-first-connect-idle', true);
  const c = configOf(h);
  const ended = (more: Partial<ConnectConfig>): string => {
    const { phase } = replay(h, { ...c, ...more }).state;
    return phase.is === 'ended' && !phase.retry ? phase.because.en : phase.is;
  };
  assert.equal(ended({ protocol: 1 }), 'protocol differs: 1 here, 3 there');
  assert.equal(
    ended({ policies: { ...c.policies, none: 'discard-local' } }),
    'after-sb-0pri differs: discard-local here, disconnect there',
  );
  assert.equal(ended({ twoPrimaries: true }), 'allow-two-primaries differs: 1 here, 0 there');
  assert.equal(ended({ integrity: 'sha1' }), 'data-integrity-alg differs: sha1 here,  there');
  const [v] = c.volumes;
  assert.ok(v);
  assert.equal(ended({ volumes: [{ ...v, verifyAlg: 'sha1' }] }), 'verify-alg differs: sha1 here, crc32c there');
});
test('the agreed size is what the captured kernels exported', () => {
  for (const [name, secret] of [
    ['01-first-connect-idle', undefined],
    ['05-disconnect-reconnect-bitmap-resync', undefined],
    ['12-auth-two-volumes-connect-clear-bitmap', 'not-a-secret'],
  ] as const)
    for (const openedData of [true, false]) {
      const h = hearing(name, openedData);
      const c = configOf(h, secret);
      for (const e of replay(h, c).effects)
        if (e.kind === 'decided')
          assert.equal(e.size.size, c.volumes.find((v) => v.volume === e.volume)?.sizes.currentSize, name);
    }
});
test('a disk with good data is never cut to fit the peer, an empty one is', () => {
  const sizes = {
    diskSize: sector(1000),
    userSize: sector(0),
    currentSize: sector(900),
    maxBioSize: 1 << 20,
    limits: LIMITS,
  };
  const peer = {
    kind: 'P_SIZES',
    volume: 0,
    queueOrderType: 0,
    growFlags: 0,
    ...sizes,
    diskSize: sector(800),
  } as const;
  const have = { disk: 'UpToDate', primary: false, sizes } as const;
  const told = (r: ReturnType<typeof agreeSize>): string =>
    r.ok ? `${r.value.size}, ${r.value.userSize}` : r.error.en;
  assert.match(told(agreeSize(have, peer, 'UpToDate')), /peer's disk is too small: 800 sectors .* 900 hold data/);
  assert.equal(
    told(agreeSize({ ...have, disk: 'Inconsistent' }, { ...peer, currentSize: sector(0) }, 'Inconsistent')),
    '800, 0',
  );
  const capped = { ...peer, diskSize: sector(5000), userSize: sector(950) };
  assert.equal(told(agreeSize(have, capped, 'UpToDate')), '950, 950');
  // As it looks from the other side: the peer will leave, and so it is known why.
  const larger = { ...peer, diskSize: sector(5000), currentSize: sector(4000) };
  assert.match(told(agreeSize(have, larger, 'UpToDate')), /own disk is too small: 1000 sectors .* 4000 hold data/);
  assert.match(told(agreeSize({ ...have, disk: 'Inconsistent' }, larger, 'Outdated')), /own disk is too small/);
  assert.equal(told(agreeSize(have, larger, 'Inconsistent')), '1000, 0');
});
test('beside a peer without a disk a volume stays as it is; without one here it is what the peer has, but never less than an application sees', () => {
  const told = (r: ReturnType<typeof agreeSize>): string => (r.ok ? `${r.value.size}` : r.error.en);
  const sizes = (disk: number, current: number) => ({
    diskSize: sector(disk),
    userSize: sector(0),
    currentSize: sector(current),
    maxBioSize: 1 << 20,
    limits: LIMITS,
  });
  const peer = (disk: number, current: number) =>
    ({ kind: 'P_SIZES', volume: 0, queueOrderType: 0, growFlags: 0, ...sizes(disk, current) }) as const;
  const have = { disk: 'UpToDate', primary: false, sizes: sizes(1000, 900) } as const;
  assert.equal(told(agreeSize(have, peer(0, 900), 'Diskless')), '900');
  const none = { disk: 'Diskless', primary: true, sizes: sizes(0, 900) } as const;
  assert.equal(told(agreeSize(none, peer(2000, 950), 'UpToDate')), '950');
  assert.equal(told(agreeSize(none, peer(0, 0), 'Diskless')), '900');
  assert.match(told(agreeSize(none, peer(800, 800), 'UpToDate')), /peer's disk is too small: 800 .* 900/);
  assert.equal(told(agreeSize({ ...none, primary: false }, peer(800, 800), 'UpToDate')), '800');
});
test('the peer that opened the data socket is called back at once, and silence ends the attempt', () => {
  const c = configOf(hearing('01-first-connect-idle', true));
  const random = new Uint8Array(64);
  const one = stepConnect(c, startConnect(), { kind: 'socket', socket: 'data', opened: 'there' }, us(0), random);
  assert.deepEqual(one.effects, [{ kind: 'open', socket: 'meta' }]);
  const two = stepConnect(c, one.state, { kind: 'socket', socket: 'meta', opened: 'here' }, us(10), random);
  assert.equal(two.state.resolver, false);
  assert.equal(connectDeadline(two.state), 500_010);
  assert.deepEqual(stepConnect(c, two.state, { kind: 'tick' }, us(400_000), random).effects, []);
  const three = stepConnect(c, two.state, { kind: 'tick' }, us(500_010), random);
  const four = stepConnect(c, three.state, { kind: 'tick' }, us(2_500_010), random);
  assert.ok(four.state.phase.is === 'ended' && four.state.phase.retry);
});

const ids = [4n, 0x10n, 0x20n, 0x30n].map((n) => n as GenerationId);
const side = fc.record({
  primary: fc.boolean(),
  disk: fc.constantFrom<DrbdDisk>('Diskless', 'Inconsistent', 'Outdated', 'Consistent', 'UpToDate'),
  current: fc.constantFrom(...ids),
  bitmap: fc.constantFrom(NO_GENERATION, ...ids),
  bits: fc.nat(3),
  crashedPrimary: fc.boolean(),
  secret: fc.constantFrom('same', 'same', 'same', 'other'),
  protocol: fc.constantFrom(3 as const, 3 as const, 3 as const, 1 as const),
});
test('two machines that talk to each other both connect, mirrored, or at least one says why not; neither waits for ever', () => {
  const seen = { connected: 0, resync: 0, ended: 0 };
  const base01 = configOf(hearing('01-first-connect-idle', true));
  const [template] = base01.volumes;
  assert.ok(template);
  fc.assert(
    fc.property(side, side, (a, b) => {
      const seenBy = (own: typeof a, other: typeof b): boolean =>
        own.bitmap === other.current && own.current !== other.current;
      fc.pre(!(seenBy(a, b) && seenBy(b, a))); // no history leads there
      const config = (x: typeof a): ConnectConfig => ({
        ...base01,
        auth: { algorithm: 'sha256', secret: new TextEncoder().encode(x.secret) },
        protocol: x.protocol,
        volumes: [
          {
            ...template,
            primary: x.primary,
            disk: x.disk,
            uuids: { current: x.current, bitmap: x.bitmap, history: [NO_GENERATION, NO_GENERATION] },
            bits: x.bits,
            crashedPrimary: x.crashedPrimary,
          },
        ],
      });
      const ends = [a, b].map((x, i) => ({
        c: config(x),
        state: startConnect(),
        random: new Uint8Array(64).fill(i + 1),
        heard: [] as DrbdPacket[],
        last: 0,
      }));
      const step = (i: number, e: Parameters<typeof stepConnect>[2]): void => {
        const [me, peer] = [ends[i], ends[1 - i]];
        assert.ok(me && peer);
        const next = stepConnect(me.c, me.state, e, us(1_000_000), me.random);
        me.state = next.state;
        for (const f of next.effects) {
          if (f.kind !== 'send' || f.packet.kind.startsWith('P_INITIAL')) continue;
          peer.heard.push(f.packet);
          if (f.packet.kind === 'P_STATE') me.last = f.packet.state;
        }
      };
      step(0, { kind: 'socket', socket: 'data', opened: 'here' });
      step(1, { kind: 'socket', socket: 'data', opened: 'there' });
      step(1, { kind: 'socket', socket: 'meta', opened: 'here' });
      step(0, { kind: 'socket', socket: 'meta', opened: 'there' });
      for (const end of ends) end.state = { ...end.state, phase: { is: 'settling', until: us(0) } };
      step(0, { kind: 'tick' });
      step(1, { kind: 'tick' });
      for (let more = true; more; ) {
        more = false;
        for (const i of [0, 1])
          for (const packet of ends[i]?.heard.splice(0) ?? []) {
            more = true;
            step(i, { kind: 'packet', socket: 'data', packet });
          }
      }
      const phases = ends.map((e) => e.state.phase);
      if (phases.some((p) => p.is === 'ended')) {
        seen.ended++;
        return;
      }
      assert.deepEqual(
        phases.map((p) => p.is),
        ['connected', 'connected'],
      );
      const [x, y] = ends.map((e) => decodeState(e.last));
      assert.ok(x && y);
      assert.deepEqual([x.role, x.peer], [y.peer, y.role]);
      const names = [x, y].map((w) => DRBD_CONNECTIONS[w.connection]).sort();
      assert.ok(names.join() === 'Connected,Connected' || names.join() === 'WFBitMapS,WFBitMapT', names.join());
      if (names[0] === 'Connected') seen.connected++;
      else seen.resync++;
    }),
    { numRuns: 600 },
  );
  assert.ok(seen.connected > 20 && seen.resync > 20 && seen.ended > 20, JSON.stringify(seen));
});
