import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { err, type IpAddress, ok, text } from '../../../base/index.ts';
import type { FlowException, WantedService } from '../../types.ts';
import { serverMark, serviceMark } from '../marks.ts';
import type { SetSpec, TableCommand } from '../nftables/index.ts';
import { valueBytes } from '../nftables/index.ts';
import { directMode, flows, told } from './direct.ts';
import { type Carried, FlowExceptions, type Pieces } from './exceptions.ts';
import { imageOf, type ServiceImage } from './image.ts';
import { jhash, scaled } from './jhash.ts';
import { slotsFind } from './rings.ts';
import { ToldFlows } from './told.ts';

const VIP = '192.0.2.99' as IpAddress;
const ID = 5;
const service = (weights: readonly number[], o: Partial<WantedService> = {}): WantedService => ({
  key: `tcp ${VIP}:80`,
  match: { by: 'address', protocol: 'tcp', ranges: [{ from: VIP, to: VIP }], port: 80 },
  scheduler: 'wrr',
  flags: [],
  onePacket: false,
  servers: weights.map((weight, i) => ({
    key: `192.0.2.${i + 1}:80`,
    address: `192.0.2.${i + 1}` as IpAddress,
    port: 80,
    weight,
    forwarding: { method: 'direct-routing' },
  })),
  ...o,
});
const imageFor = (s: WantedService, had?: ServiceImage): ServiceImage =>
  imageOf(directMode, s, ID, had, { device: () => 2 });

/** What the kernel holds of the maps of flows, and the services that it carries. */
class Table implements Carried {
  services: readonly WantedService[] = [];
  readonly images = new Map<string, ServiceImage>();
  readonly sets = new Map<string, Map<string, readonly [key: readonly unknown[], data: number]>>();
  readings = 1;
  applied = 0;
  refuse = false;
  service(key: string): WantedService | undefined {
    return this.services.find((s) => s.key === key);
  }
  image(key: string): ServiceImage | undefined {
    return this.images.get(key);
  }
  carry(s: WantedService): void {
    this.services = [s];
    this.images.set(s.key, imageFor(s, this.images.get(s.key)));
  }
  set(name: string): Map<string, readonly [key: readonly unknown[], data: number]> {
    const set = this.sets.get(name) ?? new Map();
    this.sets.set(name, set);
    return set;
  }
  put(set: SetSpec, client: string, port: number, server: number): void {
    this.set(set.name).set(`${client} ${port}`, [[client, port, serviceMark(ID)], serverMark(ID, server)]);
  }
  at(set: SetSpec, client: string): number | undefined {
    const [, mark] = [...this.set(set.name).values()].find(([key]) => key[0] === client) ?? [];
    return mark === undefined ? undefined : mark - serverMark(ID, 0);
  }
  /** Two elements in a piece. */
  readonly pieces: Pieces = (name, take) => {
    const all = [...this.set(name).values()];
    return () => {
      for (const [key, data] of all.splice(0, 2))
        take({
          key: valueBytes([name.endsWith('4') ? 'ipv4_addr' : 'ipv6_addr', 'inet_service', 'mark'], key as never),
          data: valueBytes(['mark'], [data]),
        });
      return ok(all.length === 0);
    };
  };
  readonly kernel = {
    elements: (name: string, take: Parameters<Pieces>[1]) => {
      const read = this.pieces(name, take);
      for (;;) {
        const done = read();
        if (!done.ok) return done;
        if (done.value) return ok(undefined);
      }
    },
    /** As the kernel: what is there cannot come, what is not cannot go, and then nothing of it is done. */
    apply: (commands: readonly TableCommand[]) => {
      const refusal = err({ at: 0, error: { code: 'ENOENT', doing: text('change it', '改它') } });
      if (this.refuse) return refusal;
      const next = new Map([...this.sets].map(([n, s]) => [n, new Map(s)]));
      for (const c of commands) {
        if (c.do !== 'elements-add' && c.do !== 'elements-remove') continue;
        const set = next.get(c.set.name) ?? new Map();
        next.set(c.set.name, set);
        for (const e of c.elements) {
          const id = `${e.key[0]} ${e.key[1]}`;
          if (set.has(id) === (c.do === 'elements-add')) return refusal;
          if (c.do === 'elements-add') set.set(id, [e.key, e.data?.[0] as number]);
          else set.delete(id);
        }
      }
      for (const [n, s] of next) this.sets.set(n, s);
      this.applied += commands.length === 0 ? 0 : 1;
      return ok(undefined);
    },
  };
}
const flow = (n: number, server: number): FlowException => ({
  service: `tcp ${VIP}:80`,
  server: `192.0.2.${server}:80`,
  client: `198.51.100.${n}` as IpAddress,
  clientPort: 4000,
  address: VIP,
  port: 80,
});
function whole(e: FlowExceptions, t: Table): readonly FlowException[] {
  for (;;) {
    const got = e.look(1000, t, t.pieces);
    assert.ok(got.ok);
    if (got.value !== 'more') return got.value;
  }
}
const clients = (f: readonly FlowException[]): number[] => f.map((x) => Number(x.client.split('.')[3])).sort();

test('the hash is the published one', () => {
  const of = (s: string, seed: number): string => jhash(new TextEncoder().encode(s), seed).toString(16);
  // Bob Jenkins, lookup3.c, driver5()
  assert.equal(of('Four score and seven years ago', 0), '17770551');
  assert.equal(of('Four score and seven years ago', 1), 'cd628161');
  assert.equal(of('', 0), 'deadbeef');
});
test('a slot is a fraction of the hash', () =>
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 1, max: 4093 }), (hash, slots) => {
      assert.equal(scaled(hash, slots), Number((BigInt(hash) * BigInt(slots)) >> 32n));
    }),
  ));

test('flows where the slots would send them are no exceptions; those of a drained server are, until they end', () => {
  const t = new Table();
  t.carry(service([1, 1, 1]));
  const finds = slotsFind(t.services[0] as WantedService, t.image(`tcp ${VIP}:80`) as ServiceImage);
  const serverOf = (n: number): number =>
    [1, 2, 3].find((s) => finds({ client: `198.51.100.${n}` as IpAddress, clientPort: 4000 }, s)) as number;
  const all = Array.from({ length: 30 }, (_, i) => i + 1);
  for (const n of all) t.put(flows[4], `198.51.100.${n}`, 4000, serverOf(n));
  const at1 = all.filter((n) => serverOf(n) === 1);
  assert.ok(at1.length > 2 && at1.length < 28);
  const e = new FlowExceptions();
  assert.deepEqual(whole(e, t), []);
  t.carry(service([0, 1, 1], { away: [{ key: '192.0.2.1:80', address: '192.0.2.1' as IpAddress, weight: 1 }] }));
  assert.deepEqual(whole(e, t), [], 'nothing is read while no slot is said to have changed');
  e.changed();
  assert.deepEqual(clients(whole(e, t)), [...at1].sort());
  assert.deepEqual(whole(e, t)[0]?.server, '192.0.2.1:80');
  const [first] = at1;
  t.set(flows[4].name).delete(`198.51.100.${first} 4000`);
  assert.deepEqual(clients(whole(e, t)), [...at1].sort(), 'once more, since a reading may miss some');
  assert.deepEqual(clients(whole(e, t)), at1.slice(1).sort());
  t.set(flows[4].name).clear();
  whole(e, t);
  assert.deepEqual(whole(e, t), []);
});
test('where servers are dealt in turn every flow is told: the slots of another director are filled otherwise', () => {
  const t = new Table();
  t.carry(service([1, 1], { scheduler: 'wlc' }));
  t.put(flows[4], '198.51.100.1', 4000, 1);
  const e = new FlowExceptions();
  assert.deepEqual(clients(whole(e, t)), [1]);
  t.set(flows[4].name).clear();
  whole(e, t);
  assert.deepEqual(whole(e, t), []);
  t.put(flows[4], '198.51.100.2', 4000, 2);
  assert.deepEqual(clients(whole(e, t)), [2], 'also when for a while there was none');
});
test('no packet of one-packet scheduling is a flow', () => {
  const t = new Table();
  t.carry(service([1, 1], { onePacket: true }));
  t.put(flows[4], '198.51.100.1', 4000, 1);
  assert.deepEqual(whole(new FlowExceptions(), t), []);
});
test('IPv6 flows are hashed as the rules do: sixteen bytes, and the port in a word of its own', () => {
  const vip = '2001:db8::99' as IpAddress;
  const s = service([1, 1, 1], {
    match: { by: 'address', protocol: 'tcp', ranges: [{ from: vip, to: vip }], port: 80 },
  });
  const image = imageFor(s);
  const client = '2001:db8::7' as IpAddress;
  const key = Uint8Array.from([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0x0f, 0xa0, 0, 0]);
  const draws = Array.from({ length: 64 }, (_, i) => image.slots[scaled(jhash(key, 0x484f4c44 + i), 31)]);
  const number = draws.find((n) => n !== 0) as number;
  assert.ok(slotsFind(s, image)({ client, clientPort: 4000 }, number));
});

test('what another director tells is kept apart; repeating is nothing, another server replaces, and what is over goes', () => {
  const t = new Table();
  t.carry(service([1, 1, 1]));
  const kept = new ToldFlows(t);
  kept.adopt([flow(1, 1), flow(2, 1), { ...flow(3, 1), server: '192.0.2.7:80' }]);
  assert.deepEqual(
    [1, 2, 3].map((n) => t.at(told[4], `198.51.100.${n}`)),
    [1, 1, undefined],
  );
  assert.equal(t.set(flows[4].name).size, 0);
  kept.adopt([flow(1, 1), flow(2, 1)]);
  assert.equal(t.applied, 1);
  kept.adopt([flow(2, 3)]);
  assert.equal(t.at(told[4], '198.51.100.2'), 3);
  kept.abandon([flow(1, 1), flow(9, 1)]);
  assert.deepEqual([...t.set(told[4].name).keys()], ['198.51.100.2 4000']);
  kept.cut([serverMark(ID, 3)]);
  assert.equal(t.set(told[4].name).size, 0, 'its number will be another server');
});
test('a peer cannot put in what is no packet of the service', () => {
  const t = new Table();
  t.carry(service([1, 1, 1]));
  const wrong = [
    { ...flow(1, 1), address: '192.0.2.98' as IpAddress },
    { ...flow(1, 1), port: 22 },
    { ...flow(1, 1), client: '2001:db8::1' as IpAddress },
    { ...flow(1, 1), service: 'tcp 192.0.2.98:80' },
  ];
  new ToldFlows(t).adopt(wrong);
  assert.equal(t.applied, 0);
});
test('a table that was made anew, or changed by others, is read again before it is changed', () => {
  const t = new Table();
  t.carry(service([1, 1, 1]));
  const kept = new ToldFlows(t);
  kept.adopt([flow(1, 1), flow(2, 1)]);
  t.set(told[4].name).clear();
  t.readings++;
  kept.adopt([flow(1, 1)]);
  assert.equal(t.at(told[4], '198.51.100.1'), 1);
  t.put(told[4], '198.51.100.3', 4000, 2); // by somebody else, unseen
  kept.adopt([flow(3, 1)]);
  assert.equal(t.at(told[4], '198.51.100.3'), 1);
});
test('what an earlier process put goes after a while, but for what is told again', () => {
  const t = new Table();
  t.carry(service([1, 1, 1]));
  new ToldFlows(t).adopt([flow(1, 1), flow(2, 1)]);
  const kept = new ToldFlows(t);
  kept.adopt([flow(1, 1)]);
  for (let i = 0; i < 899; i++) kept.tick();
  assert.equal(t.set(told[4].name).size, 2);
  kept.tick();
  assert.deepEqual([...t.set(told[4].name).keys()], ['198.51.100.1 4000']);
});
