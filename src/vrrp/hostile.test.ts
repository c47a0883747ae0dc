/**
 * Hostile packets on the whole way of an advert: socket, hub, checks, machine. Random bytes, damaged adverts, replayed
 * ones and the right ones from the wrong place are thrown at a backup and at a master of every kind of authentication.
 * Nothing throws, and nothing but a whole advert that a peer may have sent changes any state.
 *
 * HOLDFAST_FUZZ sets the number of packets over all kinds (`npm test`: a million); HOLDFAST_SEED replays a run.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IpAddress, ipBytes, ms, ok, Random, us } from '../base/index.ts';
import type { Datagram, Link, LinkAddress, Network, Sockets } from '../host/index.ts';
import { packAddresses } from '../wire/index.ts';
import type { HmacAuthentication, Instance } from './config.ts';
import { exampleAddress, exampleInstance } from './example.ts';
import { SocketHub } from './hub.ts';
import { step } from './machine.ts';
import { advertPacket, type Counters, ownChecksum } from './packets.ts';
import { VirtualRouter } from './router.ts';
import type { RouterState } from './state.ts';
import type { Event } from './types.ts';

const runs = Number(process.env['HOLDFAST_FUZZ'] ?? 5_000);
const seed = Number(process.env['HOLDFAST_SEED'] ?? Math.floor(Math.random() * 0x1_0000_0000));
const LONGEST = 512;
const NOW = us(1_000_000_000);
const WALL = ms(1_700_000_000_000);

const hmac: HmacAuthentication = {
  keys: [{ id: 1, key: Uint8Array.of(1, 2, 3) }],
  activeKey: 1,
  antiReplay: 'time',
  window: us(5_000_000),
  mode: 'enforce',
};
const KINDS: Readonly<Record<string, Instance>> = {
  'version 2': exampleInstance(),
  password: exampleInstance({ authentication: { type: 'pass', password: 'secret' } }),
  AH: exampleInstance({ authentication: { type: 'ah', password: 'secret' } }),
  'version 3': exampleInstance({ version: 3 }),
  'version 3 unicast with peers checked': exampleInstance({
    version: 3,
    unicastPeers: [{ address: '10.0.0.2' as IpAddress, minTtl: 254 }],
    checkUnicastSource: true,
  }),
  IPv6: exampleInstance({
    version: 3,
    family: 6,
    addresses: [exampleAddress('fe80::9', 64), exampleAddress('fd00::9', 64)],
    multicastGroup: 'ff02::12' as IpAddress,
  }),
  'HMAC trailer': exampleInstance({ version: 3, hmac }),
  'HMAC trailer with rising stamps': exampleInstance({ version: 3, hmac: { ...hmac, antiReplay: 'monotonic' } }),
};
const authentic = (i: Instance): boolean => i.authentication.type === 'ah' || i.hmac !== undefined;

/** A router on a host with one interface; what its socket is given is all that it hears. */
function begin(instance: Instance, as: 'BACKUP' | 'MASTER') {
  const own = (instance.family === 6 ? 'fe80::1' : '10.0.0.1') as IpAddress;
  const link: Partial<Link> = { ifindex: 2, name: 'eth0', up: true };
  const address: Partial<LinkAddress> = { ifindex: 2, prefix: { address: own, length: 24 } };
  let deliver: (d: Datagram) => void = () => assert.fail('no socket was opened');
  const sockets: Pick<Sockets, 'raw'> = {
    raw: (o, receive) => {
      if (o.groups.length > 0 || instance.unicastPeers !== undefined) deliver = receive;
      return ok({ send: () => ok(undefined), drain: () => {}, close: () => {} } as never);
    },
  };
  const network: Pick<Network, 'linkByName' | 'linkByIndex' | 'addresses'> = {
    linkByName: () => link as Link,
    linkByIndex: () => link as Link,
    addresses: () => [address as LinkAddress],
  };
  const events: Event[] = [];
  const hub = new SocketHub(
    sockets as Sockets,
    () => {},
    () => {},
  );
  const config = { instance, grouped: false, minimalGarp: false };
  const router = new VirtualRouter(
    config,
    { hub, network: network as Network, wall: () => WALL, isUp: () => true },
    {
      event: (r, e) => {
        events.push(e);
        r.state = step(config, r.state, e, NOW).state;
      },
      dropped: () => {},
      odd: () => {},
      cut: () => {},
      sendFailed: () => {},
    },
    1,
    NOW,
  );
  router.open(() => false);
  const health = { faults: [], waiting: false, priority: instance.priority };
  router.state = step(config, router.state, { kind: 'start', health, as, notBefore: NOW }, NOW).state;
  events.length = 0;
  return { router, events, deliver: (d: Datagram) => deliver(d) };
}

/** What arrives when a peer sends. */
function arrives(i: Instance, priority: number, counters: Counters): Datagram {
  const six = i.family === 6;
  const source = (six ? 'fe80::2' : '10.0.0.2') as IpAddress;
  const destination = (i.unicastPeers === undefined ? i.multicastGroup : '10.0.0.1') as IpAddress;
  const addresses = packAddresses(i.addresses.map((a) => a.prefix.address));
  const path = { source, destination, ttl: 255, checksum: ownChecksum(i, i.unicastPeers !== undefined) };
  const bytes = advertPacket(i, addresses, priority, path, counters, () => WALL);
  return {
    bytes: six ? bytes : bytes.subarray(20),
    header: six ? undefined : bytes.subarray(0, 20),
    source,
    destination,
    sourcePort: undefined,
    ttl: 255,
    ifindex: 2,
    at: NOW,
  };
}

/** The same packet from elsewhere: where we see a header, it says so too. */
function from(d: Datagram, source: IpAddress, ttl: number): Datagram {
  if (!d.header) return { ...d, source, ttl };
  const header = d.header.slice();
  header[8] = ttl;
  header.set(ipBytes(source), 12);
  return { ...d, header, source, ttl };
}

/** One's complement sum of RFC 1071, written apart from the product's. */
function folds(parts: readonly Uint8Array[]): boolean {
  let sum = 0;
  for (const b of parts) for (let at = 0; at < b.length; at++) sum += (b[at] as number) << (at % 2 === 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum === 0xffff;
}
/** By this test's own reading of the RFCs: could a peer of this instance have sent it? */
function genuine(i: Instance, d: Datagram, sent: readonly Datagram[]): boolean {
  const b = d.bytes;
  if (authentic(i))
    return sent.some(
      (s) =>
        s.bytes.length <= b.length &&
        Buffer.compare(s.bytes, b.subarray(0, s.bytes.length)) === 0 &&
        s.source === d.source,
    );
  const width = i.family === 4 ? 4 : 16;
  const pdu = b.subarray(0, 8 + (b[3] as number) * width + (i.version === 2 ? 8 : 0));
  if (b[0] !== ((i.version << 4) | 1) || b[1] !== i.virtualRouterId) return false;
  if (d.ttl !== 255 && !(i.unicastPeers && d.ttl === 254)) return false;
  if (i.checkUnicastSource && d.source !== '10.0.0.2') return false;
  if (i.version === 2) {
    const password = Buffer.from(i.authentication.type === 'pass' ? 'secret\0\0' : '');
    return folds([pdu]) && (password.length === 0 || Buffer.compare(password, pdu.subarray(-8)) === 0);
  }
  const pseudo = (to: IpAddress): Uint8Array[] => [
    ipBytes(d.source),
    ipBytes(to),
    Uint8Array.of(0, 112, 0, pdu.length),
  ];
  return folds([pdu]) || [d.destination, i.multicastGroup].some((to) => folds([...pseudo(to), pdu]));
}

/** Damages the first `length` bytes of `b` in one to three places, and returns the new length. */
function damage(b: Uint8Array, length: number, random: Random): number {
  let n = length;
  for (let times = 1 + (random.u32() % 3); times > 0; times--) {
    const r = random.u32();
    const at = n === 0 ? 0 : (r >>> 8) % n;
    switch (r & 3) {
      case 0:
        b[at] = (b[at] as number) ^ (1 << ((r >>> 3) & 7));
        break;
      case 1:
        b[at] = random.u32();
        break;
      case 2:
        n = at;
        break;
      default:
        n = Math.min(LONGEST, n + ((r >>> 3) & 31));
    }
  }
  return n;
}

const shares = Object.keys(KINDS).length * 2;
for (const [kind, instance] of Object.entries(KINDS))
  for (const as of ['BACKUP', 'MASTER'] as const)
    test(`${kind}: hostile packets change nothing in a ${as.toLowerCase()} (HOLDFAST_SEED=${seed})`, (t) => {
      const { router, events, deliver } = begin(instance, as);
      assert.equal(router.state.is, as);
      const random = new Random(seed);
      const counters: Counters = { ipId: 0, ahSequence: 0xf000_0000, hmacCounter: 0 };
      // A lower priority as well as a higher one: what is accepted would change a backup's timer or end a master.
      const sent = [0, 1, 100, 200, 254].map((priority) => arrives(instance, priority, counters));
      const scratch = new Uint8Array(LONGEST);
      const strangers = (instance.family === 6 ? ['fe80::3', '::'] : ['10.0.0.3', '0.0.0.0']) as IpAddress[];
      const before = { received: 0, dropped: 0 };
      let accepted = 0;
      const count = Math.ceil(runs / shares);
      for (let at = 0; at < count; at++) {
        const r = random.u32();
        const original = sent[r % sent.length] as Datagram;
        let n = original.bytes.length;
        scratch.set(original.bytes);
        let d: Datagram = original;
        if ((r >>> 8) % 4 === 0) {
          n = (r >>> 12) % 128;
          for (let i = 0; i < n; i++) scratch[i] = random.u32();
          if (n > 1 && (r & 64) !== 0) scratch[instance.authentication.type === 'ah' ? Math.min(25, n - 1) : 1] = 51;
        } else if ((r >>> 8) % 16 === 1) d = from(d, d.source, (r >>> 12) & 255);
        else if ((r >>> 8) % 16 === 2) d = from(d, strangers[(r >>> 12) & 1] as IpAddress, 255);
        else n = damage(scratch, n, random);
        d = { ...d, bytes: scratch.subarray(0, n) };
        const state: RouterState = router.state;
        deliver(d);
        if (events.length === 0) {
          assert.equal(router.state, state, `packet ${at} was refused, yet changed the state`);
          before.dropped++;
          continue;
        }
        accepted++;
        events.length = 0;
        const hex = Buffer.from(d.bytes).toString('hex');
        assert.ok(genuine(instance, d, sent), `packet ${at} from ${d.source} with TTL ${d.ttl} was accepted: ${hex}`);
        router.state = state;
      }
      // Had the storm left a trace (a sequence number, a time, a remembered packet), a true advert would be refused now.
      const last = arrives(instance, 254, counters);
      deliver(last);
      assert.equal(events.length, 1, 'a true advert behind the storm is not accepted');
      assert.equal(router.state.is, 'BACKUP');
      t.diagnostic(`${count} packets, ${accepted} of them whole adverts`);
      assert.ok(before.dropped > 0);
    });
