/** Settings that change on a connection, said by the own file and said by the peer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, ms, text, us } from '../../base/index.ts';
import type { ProtocolPacket } from '../../wire/index.ts';
import type { MirrorConfig } from '../config.ts';
import { Rig, rigConfig } from './rig.fixture.ts';

const WORDS = text('adjusted', '已调整');
const kinds = (r: Rig): string[] => r.packets().map((p) => p.kind);
const write = (r: Rig, tag: number): void =>
  r.app({ op: 'write', tag, offset: tag * 4096, bytes: new Uint8Array(4096).fill(1), through: false });
let nextId = 1000;
function adjust(r: Rig, config: MirrorConfig, reconnects = false, secret?: string): number {
  const id = nextId++;
  const bytesOf = secret === undefined ? undefined : new TextEncoder().encode(secret);
  r.resource.handle(
    { kind: 'adjust', id, adjusted: { config, secret: bytesOf, devices: [], reconnects, words: WORDS } },
    us(r.now),
  );
  r.run();
  return id;
}
function primary(config = rigConfig()): Rig {
  const r = new Rig(config);
  r.connect();
  r.promote();
  return r;
}
const update: ProtocolPacket = {
  kind: 'P_PROTOCOL_UPDATE',
  volume: 0,
  protocol: 1,
  afterSb: [5, 8, 0],
  connectFlags: 0,
  twoPrimaries: 0,
  integrity: '',
};

test('times are taken over on a connection that stays: nobody is told, and pings follow the new ones', () => {
  const r = primary();
  const id = adjust(r, rigConfig({ pingInterval: ms(1000), koCount: 1, timeout: ms(1000) }));
  assert.equal(r.answers.get(id)?.ok, true);
  assert.deepEqual([kinds(r), r.resource.connection], [[], 'Connected']);
  r.advance(1_100_000);
  assert.deepEqual(kinds(r), ['P_PING']);
});
test('another protocol is told before the first write that follows it, and ends the epoch of those before it', () => {
  const r = primary();
  write(r, 1);
  assert.deepEqual(kinds(r), ['P_DATA']);
  adjust(r, rigConfig({ protocol: 'A' }));
  const told = r.packets();
  assert.deepEqual(
    told.map((p) => p.kind),
    ['P_BARRIER', 'P_PROTOCOL_UPDATE'],
  );
  assert.equal(told[1]?.kind === 'P_PROTOCOL_UPDATE' && told[1].protocol, 1);
  write(r, 2);
  const [data] = r.packets();
  assert.equal(data?.kind === 'P_DATA' && data.flags & 0x180, 0, 'no acknowledgement of the write itself is asked for');
  assert.deepEqual([r.done.get(1), r.done.get(2)], [undefined, 0]);
});
test('rates and digests are told as P_SYNC_PARAM89, once for each volume', () => {
  const r = primary();
  const config = rigConfig({ verify: 'md5' });
  const [v] = config.volumes as [MirrorConfig['volumes'][number]];
  const resync = { ...v.options.resync, maxRate: bytes(7 << 20) };
  adjust(r, { ...config, volumes: [{ ...v, options: { ...v.options, resync } }] });
  const [told, ...more] = r.packets();
  assert.deepEqual(more, []);
  assert.ok(told?.kind === 'P_SYNC_PARAM89');
  assert.deepEqual([told.verifyAlg, told.controller?.maxRate], ['md5', 7 << 10]);
});
test('a new address leaves the peer in order, and looks for it with the new settings', () => {
  const r = primary();
  const config = { ...rigConfig(), remote: { ...rigConfig().remote, port: 7799 } };
  const id = adjust(r, config, true, 'new');
  assert.deepEqual(kinds(r), ['P_CONN_ST_CHG_REQ']);
  assert.equal(r.answers.get(id), undefined);
  assert.notEqual(r.resource.config, config, 'nothing is changed before the peer has agreed');
  r.effects.splice(0);
  r.hear({ kind: 'P_CONN_ST_CHG_REPLY', volume: 0, result: 1 }, 'meta');
  assert.equal(r.answers.get(id)?.ok, true);
  assert.deepEqual(
    r.effects.map((e) => e.kind).filter((k) => k === 'close' || k === 'adopted' || k === 'seek'),
    ['close', 'adopted', 'seek'],
  );
  assert.deepEqual([r.resource.connection, r.resource.config], ['WFConnection', config]);
});
test('a peer that does not let go: nothing is changed', () => {
  const r = primary();
  const id = adjust(r, { ...rigConfig({ koCount: 1 }), remote: { ...rigConfig().remote, port: 7799 } }, true);
  r.hear({ kind: 'P_CONN_ST_CHG_REPLY', volume: 0, result: -10 }, 'meta');
  assert.equal(r.answers.get(id)?.ok, false);
  assert.deepEqual([r.resource.connection, r.resource.config.net.koCount], ['Connected', 7]);
});
test('StandAlone stays StandAlone: an operator or a split brain wanted it', () => {
  const r = primary();
  r.ask({ verb: 'disconnect', force: true });
  adjust(r, { ...rigConfig(), remote: { ...rigConfig().remote, port: 7799 } }, true);
  assert.deepEqual([r.resource.connection, r.resource.config.remote.port], ['StandAlone', 7799]);
});
test('what the peer changes is taken over, as it looks from here', () => {
  const r = primary();
  r.effects.splice(0);
  r.hear(update);
  const { net } = r.resource.config;
  assert.equal(r.resource.connection, 'Connected');
  assert.deepEqual(
    [net.protocol, net.after0Primaries, net.after1Primary],
    ['A', 'discard-remote', 'discard-secondary'],
  );
  assert.ok(
    r.effects.some((e) => e.kind === 'adopted'),
    'the driver has them too',
  );
  const controller = { planAhead: 20, delayTarget: 10, fillTarget: 100, maxRate: 1024 };
  r.hear({ kind: 'P_SYNC_PARAM89', volume: 0, resyncRate: 99, verifyAlg: 'sha1', csumsAlg: 'md5', controller });
  assert.deepEqual([r.resource.config.net.verify, r.resource.config.net.checksums], ['sha1', 'md5']);
  assert.deepEqual(r.packets(), [], 'and nothing is told back');
});
for (const [what, p] of [
  ['a protocol that there is not', { ...update, protocol: 4 }],
  ['a policy that there is not', { ...update, afterSb: [5, 1, 0] as const }],
  ['another digest of data', { ...update, integrity: 'sha1' }],
] as const)
  test(`${what} from the peer ends the connection, and settings are as they were`, () => {
    const r = primary();
    r.hear(p);
    assert.deepEqual([r.resource.connection, r.resource.config.net.protocol], ['WFConnection', 'C']);
  });
