import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IpAddress, ok } from '../../../base/index.ts';
import type { BpfMap } from '../../../host/index.ts';
import type { FlowException, WantedService } from '../../types.ts';
import { Exceptions, type FlowsNow, flowHash, flowKey, slotOf } from './exceptions.ts';
import { CLOSED, NEVER } from './flows.ts';
import type { Hashing, ServiceTable } from './tables.ts';

/** A hash map whose pieces are of three entries. */
class FakeMap {
  readonly entries = new Map<string, { readonly key: Uint8Array; readonly value: Uint8Array }>();
  pieces(take: (key: Uint8Array, value: Uint8Array) => void) {
    const all = [...this.entries.values()];
    return () => {
      for (const e of all.splice(0, 3)) take(e.key, e.value);
      return ok(all.length === 0);
    };
  }
  get(key: Uint8Array): Uint8Array | undefined {
    return this.entries.get(String(key))?.value;
  }
  set(key: Uint8Array, value: Uint8Array) {
    this.entries.set(String(key), { key: key.slice(), value: value.slice() });
    return ok(undefined);
  }
  remove(key: Uint8Array) {
    this.entries.delete(String(key));
    return ok(undefined);
  }
}
const VIP = '192.0.2.99' as IpAddress;
const KEY = `tcp ${VIP}:80`;
const byAll: Hashing = { source: true, sourcePort: true, destination: true, destinationPort: true, sourceBits: 32 };
const server = (n: number) => ({ key: `192.0.2.${n}:80`, address: `192.0.2.${n}` as IpAddress, port: 80 });
const wanted = {
  key: KEY,
  match: { by: 'address', protocol: 'tcp', ranges: [{ from: VIP, to: VIP }], port: 80 },
  servers: [server(1), server(2)],
} as unknown as WantedService;
const table = (ring: readonly number[]): ServiceTable => ({
  id: 0,
  entries: [],
  hashing: byAll,
  stateless: false,
  inTurn: false,
  block: 0,
  ring: Uint32Array.from(ring),
  servers: [1, 2].map((n) => ({
    id: 10 + n,
    serial: 20 + n,
    address: `192.0.2.${n}` as IpAddress,
    port: 80,
    weight: 1,
    way: { send: 'direct', ifindex: 2 },
  })),
});
const NOW = 5000;
const now = (ring: readonly number[], flows4 = new FakeMap()): FlowsNow & { readonly flows4: FakeMap & BpfMap } =>
  ({
    flows4,
    flows6: new FakeMap(),
    held: new Map([[KEY, { wanted, table: table(ring) }]]),
    nowSeconds: (NOW * 2 ** 30) / 1e9,
    timeouts: {},
  }) as never;
const flow = (client: number, n: number): FlowException => ({
  service: KEY,
  server: server(n).key,
  client: `198.51.100.${client}` as IpAddress,
  clientPort: 4000,
  address: VIP,
  port: 80,
});
const put = (map: FakeMap, f: FlowException, n: number, o: { seen?: number; state?: number; serial?: number } = {}) => {
  const value = new Uint8Array(16);
  const v = new DataView(value.buffer);
  v.setUint32(0, 10 + n, true);
  v.setUint32(4, o.serial ?? 20 + n, true);
  v.setUint32(8, o.seen ?? NOW, true);
  v.setUint32(12, o.state ?? 0, true);
  map.set(flowKey(f, 6), value);
};
const whole = (e: Exceptions, o: FlowsNow): readonly FlowException[] => {
  for (;;) {
    const got = e.look(100, o);
    assert.ok(got.ok);
    if (got.value !== 'more') return got.value;
  }
};
const serverOf = (o: ReturnType<typeof now>, f: FlowException): number | undefined => {
  const value = o.flows4.get(flowKey(f, 6));
  return value && new DataView(value.buffer).getUint32(0, true) - 10;
};

test('exceptions are the flows that live at another server than the ring says, and no others', () => {
  const o = now([12]);
  for (let c = 0; c < 8; c++) put(o.flows4, flow(c, 1), 1);
  put(o.flows4, flow(10, 2), 2);
  put(o.flows4, flow(11, 1), 1, { state: CLOSED });
  put(o.flows4, flow(12, 1), 1, { seen: NOW - 900 });
  put(o.flows4, flow(13, 1), 1, { seen: NEVER });
  put(o.flows4, flow(14, 1), 1, { serial: 99 });
  assert.deepEqual(
    whole(new Exceptions(), o),
    [0, 1, 2, 3, 4, 5, 6, 7].map((c) => flow(c, 1)),
  );
});
test('when none is left nothing is looked through, until a ring changes', () => {
  const e = new Exceptions();
  const o = now([12]);
  assert.deepEqual(whole(e, o), []);
  put(o.flows4, flow(1, 1), 1);
  assert.deepEqual(whole(e, o), [], 'it was not looked for');
  e.changed();
  assert.deepEqual(whole(e, o), [flow(1, 1)]);
  assert.deepEqual(whole(e, o), [flow(1, 1)], 'as long as there are some');
});
test('what another director tells is taken, is not told back, and is given up unless it came by', () => {
  const e = new Exceptions();
  const o = now([12]);
  e.adopt([flow(1, 1), flow(2, 1), { ...flow(3, 1), server: '192.0.2.7:80' }], o);
  assert.deepEqual(
    [1, 2, 3].map((c) => serverOf(o, flow(c, 1))),
    [1, 1, undefined],
  );
  assert.deepEqual(whole(e, o), []);
  put(o.flows4, flow(2, 1), 1);
  e.adopt([flow(1, 1)], o); // offered again, as long as it is held
  assert.deepEqual(whole(e, o), [flow(2, 1)], 'it came by');
  e.abandon([flow(1, 1), flow(2, 1)], o);
  assert.deepEqual(
    [1, 2].map((c) => serverOf(o, flow(c, 1))),
    [undefined, 1],
  );
});
test("what lives here is left alone; what is closed, idle or of a server that went is the other director's to say", () => {
  const o = now([12]);
  put(o.flows4, flow(1, 2), 2);
  put(o.flows4, flow(2, 2), 2, { state: CLOSED });
  put(o.flows4, flow(3, 2), 2, { seen: NOW - 900 });
  put(o.flows4, flow(4, 2), 2, { serial: 99 });
  new Exceptions().adopt(
    [1, 2, 3, 4].map((c) => flow(c, 1)),
    o,
  );
  assert.deepEqual(
    [1, 2, 3, 4].map((c) => serverOf(o, flow(c, 1))),
    [2, 1, 1, 1],
  );
});
test('a peer cannot put in what is no packet of the service', () => {
  const o = now([12]);
  const wrong = [
    { ...flow(1, 1), address: '192.0.2.98' as IpAddress },
    { ...flow(1, 1), port: 22 },
    { ...flow(1, 1), client: '2001:db8::1' as IpAddress },
    { ...flow(1, 1), service: 'tcp 192.0.2.98:80' },
  ];
  new Exceptions().adopt(wrong, o);
  assert.equal(o.flows4.entries.size + (o.flows6 as unknown as FakeMap).entries.size, 0);
});
test('the hash looks at what the service hashes by, and a slot is a fraction of it', () => {
  const hash = (f: FlowException, h: Hashing): number => {
    const key = flowKey(f, 6);
    return flowHash(new DataView(key.buffer), h);
  };
  const net = { ...byAll, sourcePort: false, destination: false, destinationPort: false, sourceBits: 28 };
  assert.equal(hash(flow(17, 1), net), hash({ ...flow(31, 1), clientPort: 9, address: '192.0.2.1' as IpAddress }, net));
  assert.notEqual(hash(flow(17, 1), net), hash(flow(33, 1), net));
  assert.notEqual(hash(flow(17, 1), byAll), hash({ ...flow(17, 1), clientPort: 9 }, byAll));
  assert.deepEqual([slotOf(0, 1021), slotOf(0xffff_ffff, 1021)], [0, 1020]);
});
