import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type IpAddress, internetChecksum, ipBytes } from '../../base/index.ts';
import type { Datagram, IpSocket } from '../index.ts';
import { loadAddon } from './addon.ts';
import { ownNetwork } from './namespace.fixture.ts';
import { AddressCache } from './sockaddr.ts';
import { linuxSockets } from './sockets.ts';
import { linuxSysctl } from './sysctl.ts';

const loaded = loadAddon();
assert.ok(loaded.ok, 'npm run setup builds the addon');
const addon = loaded.value;
const sockets = linuxSockets(addon);
const ip = (s: string): IpAddress => s as IpAddress;
const VRRP = 112;
const ipCommand = (line: string): string => execFileSync('ip', line.split(' '), { encoding: 'utf8' });

type Seen = Omit<Datagram, 'bytes' | 'header'> & { text: string; header: number | undefined };
const copy = ({ bytes, header, ...rest }: Datagram): Seen => ({
  ...rest,
  text: Buffer.from(bytes).toString('latin1'),
  header: header?.length,
});
/** Resolves at the first packet that `open`'s receiver is given. */
function first(open: (receive: (d: Datagram) => void) => IpSocket): { socket: IpSocket; got: Promise<Seen> } {
  let socket: IpSocket | undefined;
  const got = new Promise<Seen>((r) => {
    socket = open((d) => r(copy(d)));
  });
  return { socket: socket as IpSocket, got };
}
const must = <T>(r: { ok: true; value: T } | { ok: false; error: unknown }): T => {
  assert.ok(r.ok, JSON.stringify(r));
  return r.value;
};
const raw = (o: Partial<Parameters<typeof sockets.raw>[0]>, receive: (d: Datagram) => void = () => {}): IpSocket =>
  must(sockets.raw({ family: 4, protocol: VRRP, ifindex: undefined, groups: [], ...o }, receive));

test('sockets in a namespace with a veth pair', async (t) => {
  if (!(await ownNetwork(t, addon))) return;
  ipCommand('link add left type veth peer name right');
  // Both ends are in one namespace: the kernel is to accept packets from its own addresses.
  for (const [name, last] of [
    ['left', 1],
    ['right', 2],
  ] as const) {
    linuxSysctl.set(`net/ipv4/conf/${name}/accept_local`, '1');
    linuxSysctl.set(`net/ipv4/conf/${name}/rp_filter`, '0');
    ipCommand(`addr add 192.0.2.${last}/24 dev ${name}`);
    ipCommand(`addr add 2001:db8::${last}/64 dev ${name} nodad`);
    ipCommand(`link set ${name} up`);
  }
  // /sys shows the namespace that mounted it: the indices are asked from the kernel by name.
  const index = (name: string): number =>
    (JSON.parse(execFileSync('ip', ['-j', 'link', 'show', name], { encoding: 'utf8' })) as [{ ifindex: number }])[0]
      .ifindex;
  const left = index('left');
  const right = index('right');
  /** What is sent over a link before the kernel has put it to use is lost, without an error. */
  const inUse = async (): Promise<void> => {
    const up = (name: string): boolean => /state UP/.test(ipCommand(`link show ${name}`));
    while (!up('left') || !up('right')) await setTimeout(5);
  };
  await inUse();

  await t.test('IPv4 multicast: group, interface, TTL 255, class, time of arrival, and no loop back', async () => {
    const group = ip('224.0.0.18');
    const looped: Seen[] = [];
    const sender = raw({ ifindex: left, groups: [group] }, (d) => looped.push(copy(d)));
    const { socket, got } = first((r) => raw({ ifindex: right, groups: [group] }, r));
    const deaf: Seen[] = [];
    const other = raw({ ifindex: right }, (d) => deaf.push(copy(d)));
    const before = addon.now();
    must(sender.send(Buffer.from('advert'), { address: group }));
    const d = await got;
    const { at, ...rest } = d;
    assert.deepEqual(rest, {
      text: 'advert',
      header: 20,
      source: '192.0.2.1',
      destination: group,
      sourcePort: undefined,
      ttl: 255,
      ifindex: right,
    });
    // By two clocks, which are not read in the same moment.
    assert.ok(at >= before - 100_000 && at <= addon.now(), `${at - before} us after sending`);
    sender.drain();
    other.drain();
    assert.deepEqual(looped, []);
    assert.deepEqual(deaf, [], 'who did not join is not told');
    for (const s of [sender, socket, other]) s.close();
  });

  await t.test('IPv6 multicast: hop limit, source, and the kernel fills and verifies the checksum', async () => {
    const group = ip('ff02::12');
    const sender = raw({ family: 6, ifindex: left, groups: [], checksumOffset: 2, source: ip('2001:db8::1') });
    const { socket, got } = first((r) => raw({ family: 6, ifindex: right, groups: [group], checksumOffset: 2 }, r));
    must(sender.send(new Uint8Array(8), { address: group }));
    const d = await got;
    assert.deepEqual(
      [d.source, d.destination, d.ttl, d.ifindex, d.header, d.text.length],
      ['2001:db8::1', group, 255, right, undefined, 8],
    );
    for (const s of [sender, socket]) s.close();
  });

  await t.test('own IPv4 header: sent as written, with a source that no interface has', async () => {
    const sender = raw({ ifindex: left, ownHeader: true });
    const { socket, got } = first((r) => raw({ ifindex: right, groups: [ip('224.0.0.18')] }, r));
    const packet = new Uint8Array(24);
    packet.set([0x45, 0xc0, 0, 24, 0, 1, 0, 0, 77, VRRP]);
    packet.set(ipBytes(ip('192.0.2.1')), 12);
    packet.set(ipBytes(ip('224.0.0.18')), 16);
    const sum = internetChecksum(packet.subarray(0, 20));
    packet.set([sum >> 8, sum & 255], 10);
    packet.set(Buffer.from('mine'), 20);
    must(sender.send(packet, { address: ip('224.0.0.18') }));
    const d = await got;
    assert.deepEqual([d.text, d.ttl, d.source], ['mine', 77, '192.0.2.1']);
    for (const s of [sender, socket]) s.close();
  });

  await t.test('frames: one EtherType of one interface, without what it sent itself', async () => {
    const seen: string[] = [];
    let arrived = (): void => {};
    const one = new Promise<void>((r) => {
      arrived = r;
    });
    const receiver = must(
      sockets.frames({ ifindex: right, etherType: 0x88b5 }, (f) => {
        seen.push(Buffer.from(f.subarray(14, 18)).toString());
        arrived();
      }),
    );
    const sender = must(sockets.frames({ ifindex: left, etherType: 0x88b5 }));
    const frame = (type: number, text: string): Uint8Array =>
      Buffer.concat([new Uint8Array(12).fill(255), Uint8Array.of(type >> 8, type & 255), Buffer.from(text.padEnd(46))]);
    must(receiver.send(frame(0x88b5, 'self')));
    must(sender.send(frame(0x88b6, 'nope')));
    must(sender.send(frame(0x88b5, 'yes!')));
    await one;
    assert.deepEqual(seen, ['yes!']);
    receiver.close();
    sender.close();
    const after = sender.send(frame(0x88b5, 'late'));
    assert.equal(!after.ok && after.error.code, 'EBADF');
  });

  await t.test('a link that goes down is no end of listening', async () => {
    const { socket, got } = first((r) => raw({ ifindex: right, groups: [ip('224.0.0.18')] }, r));
    const sender = raw({ ifindex: left });
    const framed = Promise.withResolvers<void>();
    const packets = must(sockets.frames({ ifindex: right, etherType: 3 }, () => framed.resolve()));
    ipCommand('link set left down');
    ipCommand('link set right down');
    await setTimeout(20);
    const refused = sender.send(Buffer.from('x'), { address: ip('224.0.0.18') });
    assert.equal(refused.ok, false);
    ipCommand('link set left up');
    ipCommand('link set right up');
    await inUse();
    must(sender.send(Buffer.from('again'), { address: ip('224.0.0.18') }));
    assert.equal((await got).text, 'again');
    await framed.promise; // a wake of its own, before or behind the other socket's
    socket.close();
    sender.close();
    packets.close();
  });

  await t.test('a name of no interface, a group of no interface: one error that says what was tried', () => {
    const r = sockets.raw({ family: 4, protocol: VRRP, ifindex: 9999, groups: [ip('224.0.0.18')] }, () => {});
    assert.ok(!r.ok);
    assert.equal(r.error.code, 'ENODEV');
    assert.match(r.error.doing.en, /raw IPv4 socket of protocol 112 on interface 9999/);
  });

  await t.test('UDP in both families: ports, TTL, and drain before the event loop turns', () => {
    for (const [family, address] of [
      [4, '127.0.0.1'],
      [6, '::1'],
    ] as const) {
      const seen: Seen[] = [];
      const receiver = must(sockets.udp({ family, address: ip(address), port: 0 }, (d) => seen.push(copy(d))));
      const sender = must(sockets.udp({ family, port: 0, ttl: 255 }, () => {}));
      for (let i = 0; i < 100; i++) {
        must(sender.send(Buffer.from(`n${i}`), { address: ip(address), port: receiver.localPort }));
      }
      receiver.drain();
      assert.deepEqual(
        seen.map((d) => d.text),
        Array.from({ length: 100 }, (_, i) => `n${i}`),
      );
      const d = seen[0] as Seen;
      assert.deepEqual([d.source, d.destination, d.sourcePort, d.ttl], [address, address, sender.localPort, 255]);
      receiver.close();
      sender.close();
      receiver.drain();
    }
  });

  await t.test('drain inside the receiver: nothing twice, nothing lost, in order', async () => {
    const seen: string[] = [];
    const { promise: arrived, resolve: all } = Promise.withResolvers<void>();
    const receiver: IpSocket = must(
      sockets.udp({ family: 4, address: ip('127.0.0.1'), port: 0 }, (d) => {
        seen.push(Buffer.from(d.bytes).toString());
        if (seen.length === 2) receiver.drain();
        if (seen.length === 70) all();
      }),
    );
    const sender = must(sockets.udp({ family: 4, port: 0 }, () => {}));
    for (let i = 0; i < 70; i++) {
      sender.send(Buffer.from(`${i}`), { address: ip('127.0.0.1'), port: receiver.localPort });
    }
    await Promise.race([arrived, setTimeout(60_000, undefined, { ref: false })]);
    await setTimeout(20); // for what would come twice
    assert.deepEqual(
      seen,
      Array.from({ length: 70 }, (_, i) => `${i}`),
    );
    receiver.close();
    sender.close();
  });
});

test('the address cache tells addresses apart whose keys are equal, and stays small', () => {
  const cache = new AddressCache(8);
  const view = (a: string): DataView => new DataView(ipBytes(ip(a)).buffer);
  // Words (3, 0, .) and (0, 1, .) fold to one key: imul(1, 3) = 3.
  for (const a of ['0:3::', '0:0:0:1::', '0:3::', '::1', 'fe80::1:2']) assert.equal(cache.v6(view(a), 0), a);
  for (let i = 0; i < 100; i++) assert.equal(cache.v4(view(`10.0.0.${i}`), 0), `10.0.0.${i}`);
});
