import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytes, type Text, text } from '../base/index.ts';
import {
  decodeContext,
  decodeInfo,
  decodeListed,
  decodeOptionReply,
  encodeContextRequest,
  encodeInfoRequest,
  NBD_FLAG,
  NBD_INFO,
  NBD_OPTION,
  NBD_REPLY,
  nbdBytes,
} from '../wire/index.ts';
import { type Handshake, type HandshakeEffect, type HandshakePolicy, NEW_HANDSHAKE, step } from './machine.ts';
import type { Export, ExportBackend } from './types.ts';

const backend = (o: Partial<ExportBackend> = {}): ExportBackend => ({
  size: bytes(1 << 20),
  unit: 1,
  preferredBlock: 4096,
  readOnly: false,
  rotational: false,
  canTrim: true,
  canCache: false,
  canMultiConn: true,
  onDone: () => {},
  onResize: () => {},
  read: () => {},
  write: () => {},
  flush: () => {},
  trim: () => {},
  zero: () => {},
  extents: () => undefined,
  submit: () => {},
  ...o,
});
const one = (o: Partial<Export> = {}): Export => ({
  name: 'one',
  description: 'first',
  readOnly: false,
  backend: backend(),
  clients: undefined,
  ...o,
});
function policyOf(exports: readonly Export[], o: Partial<HandshakePolicy> = {}): HandshakePolicy {
  return { tls: 'none', list: true, find: (n) => exports.find((e) => e.name === n), all: () => exports, ...o };
}
const policy = policyOf([one(), one({ name: 'two', description: '', readOnly: true })]);
const none = new Uint8Array(0);
const options: Handshake = { ...NEW_HANDSHAKE, is: 'options', noZeroes: true };

const ask = (s: Handshake, option: number, data: Uint8Array = none, p = policy) =>
  step(p, s, { kind: 'option', option, data });
const replies = (effects: readonly HandshakeEffect[]) =>
  effects.flatMap((e) => {
    if (e.kind !== 'send') return [];
    const r = decodeOptionReply(e.bytes);
    return r.ok ? [r.value] : [];
  });
const kinds = (effects: readonly HandshakeEffect[]): readonly (string | number)[] =>
  effects.map((e) => (e.kind === 'send' ? (replies([e])[0]?.type ?? 'raw') : e.kind));
const go = (name: string, wanted: readonly number[] = [NBD_INFO.blockSize]) => encodeInfoRequest({ name, wanted });

test('GO tells size, flags and block sizes, and begins the transmission', () => {
  const { state, effects } = ask(options, NBD_OPTION.go, go('one', [NBD_INFO.name, NBD_INFO.description]));
  assert.equal(state.is, 'done');
  assert.deepEqual(kinds(effects), [3, 3, 3, 3, 1, 'transmit']);
  const infos = replies(effects)
    .slice(0, 4)
    .map((r) => decodeInfo(r.data));
  assert.deepEqual(
    infos.map((i) => i.ok && i.value.kind),
    ['export', 'block-size', 'name', 'description'],
  );
});
test('INFO tells the same and stays', () => {
  const { state, effects } = ask(options, NBD_OPTION.info, go('one'));
  assert.equal(state.is, 'options');
  assert.deepEqual(kinds(effects), [3, 3, 1]);
});
test('a read-only export says so, offers no way to change it, and may be read over several connections', () => {
  const { effects } = ask(options, NBD_OPTION.info, go('two'));
  const info = decodeInfo(replies(effects)[0]?.data ?? none);
  assert.ok(info.ok && info.value.kind === 'export');
  const flags = info.value.flags;
  assert.equal(flags & NBD_FLAG.readOnly, NBD_FLAG.readOnly);
  assert.equal(flags & NBD_FLAG.canMultiConn, NBD_FLAG.canMultiConn);
  assert.equal(flags & (NBD_FLAG.trim | NBD_FLAG.writeZeroes | NBD_FLAG.fua), 0);
});
test('several connections are promised only where a flush covers them all', () => {
  const p = policyOf([one({ backend: backend({ canMultiConn: false }) })]);
  const info = decodeInfo(replies(ask(options, NBD_OPTION.info, go('one'), p).effects)[0]?.data ?? none);
  assert.ok(info.ok && info.value.kind === 'export');
  assert.equal(info.value.flags & NBD_FLAG.canMultiConn, 0);
});
test('an unknown export and an unknown option are answered, and the client goes on', () => {
  assert.deepEqual(kinds(ask(options, NBD_OPTION.go, go('none')).effects), [NBD_REPLY.unknown]);
  assert.deepEqual(kinds(ask(options, 4711, new Uint8Array(99)).effects), [NBD_REPLY.unsupported]);
  assert.equal(ask(options, 4711).state.is, 'options');
});
test('EXPORT_NAME has no error reply: the connection ends', () => {
  assert.deepEqual(kinds(ask(options, NBD_OPTION.exportName, nbdBytes('none')).effects), ['close']);
  const found = ask({ ...options, noZeroes: false }, NBD_OPTION.exportName, nbdBytes('one')).effects;
  assert.deepEqual(kinds(found), ['raw', 'transmit']);
  assert.equal(found[0]?.kind === 'send' && found[0].bytes.length, 134);
});
test('LIST names every export, or is refused by policy', () => {
  const { effects } = ask(options, NBD_OPTION.list);
  const names = replies(effects)
    .slice(0, 2)
    .map((r) => decodeListed(r.data));
  assert.deepEqual(
    names.map((n) => n.ok && n.value.name),
    ['one', 'two'],
  );
  assert.deepEqual(kinds(ask(options, NBD_OPTION.list, none, { ...policy, list: false }).effects), [NBD_REPLY.policy]);
});
test('structured replies are agreed once', () => {
  const first = ask(options, NBD_OPTION.structuredReply);
  assert.deepEqual(kinds(first.effects), [NBD_REPLY.ack]);
  assert.deepEqual(kinds(ask(first.state, NBD_OPTION.structuredReply).effects), [NBD_REPLY.invalid]);
});
test('extended headers bring structured replies along', () => {
  const { state } = ask(options, NBD_OPTION.extendedHeaders);
  assert.deepEqual([state.structured, state.extended], [true, true]);
});

const structured: Handshake = { ...options, structured: true };
const query = (name: string, ...queries: string[]) => encodeContextRequest({ name, queries });
test('base:allocation is listed by namespace and by no query, and set only by its name', () => {
  for (const q of [[], ['base:'], ['base:allocation']])
    assert.deepEqual(kinds(ask(structured, NBD_OPTION.listMetaContext, query('one', ...q)).effects), [4, 1]);
  assert.deepEqual(kinds(ask(structured, NBD_OPTION.setMetaContext, query('one', 'base:')).effects), [1]);
  const set = ask(structured, NBD_OPTION.setMetaContext, query('one', 'x:y', 'base:allocation'));
  const context = decodeContext(replies(set.effects)[0]?.data ?? none);
  assert.deepEqual(context.ok && context.value, { id: 1, name: 'base:allocation' });
  assert.equal(set.state.allocationOf, 'one');
});
test('a new SET replaces the old, also when it fails, and counts only for its own export', () => {
  const set = ask(structured, NBD_OPTION.setMetaContext, query('one', 'base:allocation')).state;
  assert.equal(ask(set, NBD_OPTION.setMetaContext, query('none', 'base:allocation')).state.allocationOf, undefined);
  assert.equal(ask(set, NBD_OPTION.setMetaContext, new Uint8Array(3)).state.allocationOf, undefined);
  const other = ask(set, NBD_OPTION.go, go('two')).effects.find((e) => e.kind === 'transmit');
  assert.equal(other?.kind === 'transmit' && other.allocation, false);
});
test('contexts without structured replies are refused', () => {
  assert.deepEqual(kinds(ask(options, NBD_OPTION.setMetaContext, query('one')).effects), [NBD_REPLY.invalid]);
});

test('where TLS is forced nothing but STARTTLS and ABORT is heard before it', () => {
  const forced = policyOf([one()], { tls: 'forced' });
  for (const o of [3, 6, 7, 8, 9, 10, 11, 99])
    assert.deepEqual(kinds(ask(options, o, none, forced).effects), [NBD_REPLY.tlsRequired]);
  assert.deepEqual(kinds(ask(options, NBD_OPTION.exportName, nbdBytes('one'), forced).effects), ['close']);
  assert.deepEqual(kinds(ask(options, NBD_OPTION.abort, none, forced).effects), [NBD_REPLY.ack, 'close']);
  assert.deepEqual(kinds(ask(options, NBD_OPTION.starttls, none, forced).effects), [NBD_REPLY.ack, 'start-tls']);
});
test('TLS forgets what was agreed in plain text', () => {
  const agreed: Handshake = { ...structured, extended: true, allocationOf: 'one', is: 'starting-tls' };
  const { state } = step(policy, agreed, { kind: 'tls', identity: 'ha1' });
  assert.deepEqual(state, { ...options, tls: true, identity: 'ha1' });
});
test('an export for certain clients does not exist for others', () => {
  const p = policyOf([one({ clients: ['ha1'] })], { tls: 'selective' });
  const as = (identity: string | undefined) => ({ ...options, tls: true, identity });
  for (const who of [undefined, 'ha2']) {
    assert.deepEqual(kinds(ask(as(who), NBD_OPTION.go, go('one'), p).effects), [NBD_REPLY.unknown]);
    assert.deepEqual(kinds(ask(as(who), NBD_OPTION.list, none, p).effects), [NBD_REPLY.ack]);
    assert.deepEqual(kinds(ask(as(who), NBD_OPTION.exportName, nbdBytes('one'), p).effects), ['close']);
  }
  assert.equal(ask(as('ha1'), NBD_OPTION.go, go('one'), p).state.is, 'done');
});
test('a device with sectors above 512 bytes is not given to a client that did not ask for the block size', () => {
  const p = policyOf([one({ backend: backend({ unit: 4096 }) })]);
  assert.deepEqual(kinds(ask(options, NBD_OPTION.go, go('one', []), p).effects), [NBD_REPLY.blockSizeRequired]);
  assert.equal(ask(options, NBD_OPTION.go, go('one'), p).state.is, 'done');
});
test('unknown client flags end the connection', () => {
  assert.deepEqual(kinds(step(policy, NEW_HANDSHAKE, { kind: 'client-flags', flags: 7 }).effects), ['close']);
});

const anyOption = fc.record({
  option: fc.oneof(fc.constantFrom(...Object.values(NBD_OPTION)), fc.nat(0xffff_ffff)),
  data: fc.oneof(
    fc.constant(none),
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom('one', 'two', 'none').map((n) => go(n)),
    fc.constantFrom('one', 'none').map((n) => query(n, 'base:allocation')),
  ),
});
test('whatever is asked, each option gets exactly one last answer, until the handshake is done', () => {
  fc.assert(
    fc.property(
      fc.array(anyOption, { maxLength: 30 }),
      fc.constantFrom('none', 'selective', 'forced' as const),
      (asked, tls) => {
        let s = options;
        const p: HandshakePolicy = { ...policy, tls: tls as HandshakePolicy['tls'] };
        for (const { option, data } of asked) {
          const next = ask(s, option, data, p);
          const said = replies(next.effects);
          const last = said.filter((r) => r.type === NBD_REPLY.ack || r.type >= 0x8000_0000);
          const ends = next.effects.some((e) => e.kind === 'close' || e.kind === 'transmit');
          if (option !== NBD_OPTION.exportName) assert.equal(last.length, 1, `option ${option}`);
          assert.ok(said.every((r) => r.option === option));
          assert.equal(next.state.is === 'done', ends);
          s = next.state;
          if (s.is === 'done') return;
          if (s.is === 'starting-tls') s = step(p, s, { kind: 'tls', identity: undefined }).state;
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('an export that nobody may use now says why, and is there again when it may be used', () => {
  let why: Text | undefined = text('it is secondary here', '');
  const p = policyOf([one({ refuses: () => why })]);
  const go = encodeInfoRequest({ name: 'one', wanted: [] });
  for (const option of [NBD_OPTION.go, NBD_OPTION.info]) {
    const [r] = replies(ask(options, option, go, p).effects);
    assert.equal(r?.type, NBD_REPLY.policy);
    assert.equal(new TextDecoder().decode(r?.data), 'it is secondary here');
  }
  const old = ask(options, NBD_OPTION.exportName, nbdBytes('one'), p);
  assert.deepEqual(old.effects.at(-1), { kind: 'close', because: 'not-permitted' });
  why = undefined;
  assert.equal(ask(options, NBD_OPTION.go, go, p).state.is, 'done');
});
