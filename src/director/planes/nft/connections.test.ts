import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { IpAddress } from '../../../base/index.ts';
import type { ConntrackEntry } from '../../../wire/index.ts';
import type { FlowException, WantedService } from '../../types.ts';
import { serverMark, TOLD_BIT } from '../marks.ts';
import { Connections, entryOf, type Named, tupleId } from './connections.ts';

const VIP = '192.0.2.99' as IpAddress;
const OTHER = '192.0.2.98' as IpAddress;
const ID = 5;
const service = (protocol: 'tcp' | 'udp' = 'tcp') =>
  ({
    key: `${protocol} ${VIP}:80`,
    match: { by: 'address', protocol, ranges: [{ from: VIP, to: VIP }], port: 80 },
    servers: [],
  }) as unknown as WantedService;
const entry = (n: number, server: number, o: Partial<ConntrackEntry> = {}): ConntrackEntry => ({
  family: 4,
  original: {
    source: `198.51.100.${n}` as IpAddress,
    destination: VIP,
    protocol: 6,
    sourcePort: 4000,
    destinationPort: 80,
  },
  reply: {
    source: `10.0.0.${server}` as IpAddress,
    destination: `198.51.100.${n}` as IpAddress,
    protocol: 6,
    sourcePort: 8080,
    destinationPort: 4000,
  },
  status: 0x2e,
  mark: serverMark(ID, server),
  tcpState: 'established',
  ...o,
});
const flow = (n: number, server: number): FlowException => ({
  service: `tcp ${VIP}:80`,
  server: `10.0.0.${server}:8080`,
  client: `198.51.100.${n}` as IpAddress,
  clientPort: 4000,
  address: VIP,
  port: 80,
});
function world() {
  const w = {
    here: new Set<string>([VIP]),
    service: service(),
    /** What the slots find again, by client. */
    found: new Set<string>(),
    servers: [1, 2],
    all: undefined as unknown as Connections,
  };
  w.all = new Connections({
    isHere: (a) => w.here.has(a),
    named: (id): Named | undefined =>
      id === ID
        ? {
            service: w.service,
            servers: new Map(w.servers.map((n) => [n, `10.0.0.${n}:8080`])),
            finds: (f) => w.found.has(f.client),
          }
        : undefined,
  });
  return w;
}
const list = (c: Connections): readonly FlowException[] => c.list(1000);

test('a connection is told once both ends know of it, and is over when it closes or the kernel forgets it', () => {
  const { all } = world();
  all.saw(entry(1, 1, { tcpState: 'syn-recv', status: 0x28 }));
  assert.deepEqual(all.takeChanges(), { set: [], gone: [] });
  all.saw(entry(1, 1));
  all.saw(entry(2, 2));
  all.saw(entry(3, 2));
  assert.deepEqual(all.takeChanges(), { set: [flow(1, 1), flow(2, 2), flow(3, 2)], gone: [] });
  all.saw(entry(1, 1, { tcpState: 'close-wait' })); // one side sends on
  assert.equal(all.hasChanges, false);
  all.saw(entry(1, 1, { tcpState: 'time-wait' }));
  all.ended(entry(2, 2));
  assert.deepEqual(all.takeChanges(), { set: [], gone: [flow(1, 1), flow(2, 2)] });
  assert.deepEqual(list(all), [flow(3, 2)]);
});
test('what came and went between two looks is told as it ended', () => {
  const { all } = world();
  all.saw(entry(1, 1));
  all.ended(entry(1, 1));
  all.saw(entry(2, 1));
  all.ended(entry(2, 1));
  all.saw(entry(2, 2));
  assert.deepEqual(all.takeChanges(), { set: [flow(2, 2)], gone: [flow(1, 1)] });
});
test("what is of nobody's service here, of others, or told by another director is not told", () => {
  const { all } = world();
  all.saw(entry(1, 1, { mark: 0 }));
  all.saw(entry(2, 1, { mark: serverMark(ID + 1, 1) }));
  all.saw(entry(3, 9));
  all.saw(entry(4, 1, { mark: (serverMark(ID, 1) | TOLD_BIT) >>> 0 }));
  assert.deepEqual(list(all), []);
});
test("a client that is hidden behind this host's address would be another one to its server: not told", () => {
  const { all } = world();
  const e = entry(1, 1);
  all.saw({ ...e, reply: { ...e.reply, destination: '10.0.0.254' as IpAddress } });
  all.saw({ ...e, reply: { ...e.reply, destinationPort: 1024 } });
  assert.deepEqual(list(all), []);
});
test('what the slots find again is not told, until they change', () => {
  const w = world();
  w.found.add('198.51.100.1');
  w.all.saw(entry(1, 1));
  assert.deepEqual(list(w.all), []);
  w.found.clear();
  w.all.changed();
  assert.deepEqual(w.all.takeChanges(), { set: [flow(1, 1)], gone: [] });
  w.servers = [2];
  w.all.changed();
  assert.deepEqual(w.all.takeChanges(), { set: [], gone: [flow(1, 1)] });
});
test('when the address goes to another host, what is known here is not told any more, and can be taken away', () => {
  const w = world();
  w.all.saw(entry(1, 1));
  w.all.takeChanges();
  assert.deepEqual(w.all.takeAway(), []);
  w.here = new Set([OTHER]);
  w.all.changed();
  assert.deepEqual(w.all.takeChanges(), { set: [], gone: [flow(1, 1)] });
  assert.deepEqual(
    w.all.takeAway().map((c) => tupleId(c.tuple)),
    [tupleId(entry(1, 1).original)],
  );
  assert.equal(w.all.mark(tupleId(entry(1, 1).original)), undefined);
});
test('a notification without a state is of a connection that goes on', () => {
  const { all } = world();
  const { tcpState: _, ...e } = entry(1, 1);
  all.saw(e);
  assert.deepEqual(list(all), [flow(1, 1)]);
});
test('what is heard while the table is read is newer than what was read', () => {
  const { all } = world();
  all.saw(entry(1, 1));
  all.beginReading();
  const read = [entry(1, 1), entry(2, 1)];
  all.ended(entry(1, 1));
  all.saw(entry(3, 2));
  all.whole(read);
  assert.deepEqual(list(all), [flow(3, 2), flow(2, 1)]);
  all.whole(read);
  assert.deepEqual(list(all), [flow(2, 1), flow(1, 1)]);
});
test('whatever was missed, a whole reading makes it right, and changes lead from what was told to what is', () =>
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          n: fc.integer({ min: 1, max: 4 }),
          server: fc.integer({ min: 1, max: 2 }),
          // What the kernel does, whether it is heard, and whether it is taken then.
          lives: fc.boolean(),
          heard: fc.boolean(),
          taken: fc.boolean(),
        }),
      ),
      (events) => {
        const { all } = world();
        const kernel = new Map<number, ConntrackEntry>();
        const told = new Map<string, string>();
        const take = (): void => {
          const { set, gone } = all.takeChanges();
          for (const f of gone) told.delete(f.client);
          for (const f of set) told.set(f.client, f.server);
        };
        for (const e of events) {
          const x = entry(e.n, e.server);
          if (e.lives) kernel.set(e.n, x);
          else kernel.delete(e.n);
          if (e.heard) e.lives ? all.saw(x) : all.ended(x);
          if (e.taken) take();
        }
        all.whole([...kernel.values()]);
        take();
        const want = [...kernel].map(([n, e]) => [`198.51.100.${n}`, `${e.reply.source}:8080`]);
        assert.deepEqual([...told].sort(), want.sort());
        assert.deepEqual(
          list(all)
            .map((f) => [f.client, f.server])
            .sort(),
          want.sort(),
        );
      },
    ),
  ));
test('an entry for another director is as if the connection had come by, with the window let be', () => {
  const t = entry(1, 1).original;
  const made = entryOf(t, { mark: 7, address: '10.0.0.1' as IpAddress, port: 8080, timeout: 900 });
  assert.deepEqual(made.destinationNat, { address: '10.0.0.1', port: 8080 });
  assert.deepEqual([made.tcpState, made.tcpLiberal, made.status], ['established', true, 0xe]);
  assert.deepEqual([made.reply.source, made.reply.sourcePort], [VIP, 80], 'the kernel works the rest out');
  const udp = entryOf({ ...t, protocol: 17 }, { mark: 7, address: '10.0.0.1' as IpAddress, port: 53, timeout: 900 });
  assert.equal(udp.tcpState, undefined);
});
