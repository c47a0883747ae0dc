import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BpfAddon, type BpfHandle, KIND, loadBpfAddon } from './addon.ts';

const loaded = loadBpfAddon();
assert.ok(loaded.ok, 'npm run setup builds the addon');
const addon: BpfAddon = loaded.value;
const HASH = 1;
const PERCPU_ARRAY = 6;
const XDP = 6;
/** r0 = 2 (XDP_PASS); exit */
const PASS = Uint8Array.of(0xb7, 0, 0, 0, 2, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);

const probe = addon.createMap(HASH, 4, 8, 4, 0, 'probe');
const skip = typeof probe === 'number' && `BPF is not permitted here (${probe})`;
const made = (h: BpfHandle | number): BpfHandle => {
  assert.ok(typeof h !== 'number', `the kernel refused: ${h}`);
  return h;
};
const program = (): BpfHandle => made(addon.loadProgram(XDP, 0, 'pass', PASS, 'MIT', new Uint8Array(4096)));

test('every function refuses every wrong kind of argument in every place, and never crashes', { skip }, () => {
  const map = made(addon.createMap(HASH, 4, 8, 4, 0, 'wrong'));
  const pass = program();
  const [key, value, none] = [new Uint8Array(4), new Uint8Array(8), new Uint8Array(0)];
  /** Arguments that would do, chosen so that the calls that still fit change nothing outside. */
  const good: Record<keyof BpfAddon, readonly unknown[]> = {
    close: [made(addon.createMap(HASH, 4, 8, 4, 0, ''))],
    descriptor: [map],
    pin: [map, '/proc/nowhere'],
    open: ['/proc/nowhere', KIND.map],
    info: [map, new Uint8Array(80)],
    createMap: [HASH, 4, 8, 4, 0, 'x'],
    lookup: [map, key, value],
    update: [map, key, value, 0],
    remove: [map, key],
    nextKey: [map, key, key],
    updateBatch: [map, key, value, 1],
    readBatch: [map, new Uint8Array(8), key, value, 1, 1],
    loadProgram: [XDP, 0, 'x', PASS, 'MIT', none],
    createLink: [pass, 0x7ffffff0, 37, 2],
    updateLink: [pass, pass],
    programDescriptor: [pass],
    testRun: [pass, new Uint8Array(64), none, 1, 0, none, new Uint8Array(16)],
    mountBpf: ['/proc/nowhere'],
    possibleProcessors: [],
  };
  assert.deepEqual(Object.keys(good).sort(), Object.keys(addon).sort(), 'the table names every function');
  const wrong = [
    undefined,
    null,
    true,
    'x'.repeat(10_000),
    'nul\0',
    -1,
    1.5,
    Number.NaN,
    2 ** 53,
    {},
    [],
    new Uint8Array(3),
    new Float64Array(2),
    Object.create(map as object) as object,
    () => {},
    Symbol('s'),
    1n,
  ];
  let refused = 0;
  for (const [name, args] of Object.entries(good)) {
    const f = addon[name as keyof BpfAddon] as (...a: unknown[]) => unknown;
    for (let place = 0; place <= args.length; place++)
      for (const w of wrong) {
        const bad = [...args];
        bad[place] = w;
        try {
          f(...bad);
        } catch (e) {
          assert.match(String((e as { code?: string }).code), /^ERR_/, `${name}(${place}): ${e}`);
          refused++;
        }
      }
  }
  assert.ok(refused > 500);
});

test('buffers that are shorter than a map’s keys and values never reach the kernel', { skip }, () => {
  const map = made(addon.createMap(PERCPU_ARRAY, 4, 12, 4, 0, 'percpu'));
  const whole = 16 * addon.possibleProcessors();
  assert.equal(addon.lookup(map, new Uint8Array(4), new Uint8Array(whole)), 0);
  for (const n of [0, 12, 16 - 1, whole - 1, whole + 1])
    if (n !== whole)
      assert.throws(() => addon.lookup(map, new Uint8Array(4), new Uint8Array(n)), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => addon.updateBatch(map, new Uint8Array(8), new Uint8Array(whole), 2), {
    code: 'ERR_OUT_OF_RANGE',
  });
  assert.throws(
    () => addon.createMap(12, 4, 4, 1, 0, ''),
    { code: 'ERR_OUT_OF_RANGE' },
    'an array of maps is not plain bytes',
  );
});

test('what is written is read, one by one and in batches, and a closed handle is an error', { skip }, () => {
  const map = made(addon.createMap(HASH, 4, 8, 100, 0, 'values'));
  const keys = new Uint32Array(50).map((_, i) => i);
  const values = new BigUint64Array(50).map((_, i) => BigInt(i * i));
  const bytes = (a: Uint32Array | BigUint64Array): Uint8Array => new Uint8Array(a.buffer);
  assert.equal(addon.updateBatch(map, bytes(keys), bytes(values), 50), 50);
  const room = new Uint8Array(8);
  assert.equal(addon.lookup(map, bytes(Uint32Array.of(7)), room), 0);
  assert.equal(new DataView(room.buffer).getBigUint64(0, true), 49n);
  const [k, v] = [new Uint8Array(400), new Uint8Array(800)];
  assert.equal(addon.readBatch(map, new Uint8Array(8), k, v, 100, 1), 101, 'fifty, and the end');
  assert.equal(addon.remove(map, bytes(Uint32Array.of(7))), 0);
  assert.equal(addon.lookup(map, bytes(Uint32Array.of(7)), room), -2);
  addon.close(map);
  addon.close(map);
  assert.throws(() => addon.lookup(map, new Uint8Array(4), room), { code: 'ERR_HANDLE_CLOSED' });
});

test('a program runs on made-up bytes, and what the verifier refuses says why', { skip }, () => {
  const result = new Uint8Array(16);
  assert.equal(addon.testRun(program(), new Uint8Array(64), new Uint8Array(64), 1, 0, new Uint8Array(0), result), 0);
  assert.equal(new DataView(result.buffer).getUint32(0, true), 2);
  const log = new Uint8Array(4096);
  const refused = addon.loadProgram(XDP, 0, 'endless', PASS.slice(8), 'MIT', log);
  assert.ok(typeof refused === 'number' && refused < 0);
  assert.match(new TextDecoder().decode(log), /R0 !read_ok/);
});
