import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../test/support/wire.ts';
import { err, type IpAddress, ms, ok, Random, text, us } from '../base/index.ts';
import type { Datagram, IpSocket, LogEvent, UdpSocketOptions } from '../host/index.ts';
import { decodeBfd, encodeBfd } from '../wire/index.ts';
import { BFD_DEFAULT_TTL, BFD_DEFAULTS, BfdDriver, type BfdInstance, type BfdPorts } from './index.ts';

type Open = { readonly host: Host; readonly o: UdpSocketOptions; readonly receive: (d: Datagram) => void };
/** Time and a wire between hosts with one address each: a datagram arrives a millisecond later, unless the wire is cut. */
class Net {
  now = 1_000_000_000;
  readonly open = new Set<Open>();
  cut = false;
  #due: { at: number; run: () => void }[] = [];
  at(at: number, run: () => void): () => void {
    const entry = { at, run };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((d) => d !== entry);
    };
  }
  run(milliseconds: number): void {
    const end = this.now + milliseconds * 1000;
    for (;;) {
      const next = this.#due.reduce<{ at: number; run: () => void } | undefined>(
        (a, d) => (d.at <= end && (!a || d.at < a.at) ? d : a),
        undefined,
      );
      if (!next) break;
      this.#due = this.#due.filter((d) => d !== next);
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = end;
  }
}
class Host {
  readonly logged: LogEvent[] = [];
  readonly heard: string[] = [];
  readonly net: Net;
  readonly address: IpAddress;
  readonly driver: BfdDriver;
  refuse: string | undefined;
  ttlSeen: number | undefined = 255;
  /** Datagrams stay in the kernel until somebody drains the socket. */
  deaf = false;
  constructor(net: Net, address: IpAddress) {
    this.net = net;
    this.address = address;
    const random = new Random(address.length + Number(address.at(-1)));
    const ports: BfdPorts = {
      clock: { now: () => us(net.now), wall: () => ms(0), at: (due, run) => net.at(due, run) },
      entropy: { u32: () => random.u32() },
      log: { write: (e) => void this.logged.push(e) },
      sockets: {
        udp: (o, receive) => this.#udp(o, receive),
        raw: () => assert.fail('no raw sockets'),
        frames: () => assert.fail('no frames'),
      },
    };
    this.driver = new BfdDriver(ports, (i, up) => void this.heard.push(`${i.name} ${up ? 'up' : 'down'}`));
  }
  #udp(o: UdpSocketOptions, receive: (d: Datagram) => void): ReturnType<BfdPorts['sockets']['udp']> {
    if (this.refuse) return err({ code: this.refuse, doing: text('opening', '打开') });
    const queued: Datagram[] = [];
    const arrive = (d: Datagram): void => {
      if (this.deaf) queued.push(d);
      else receive(d);
    };
    const entry = { host: this, o, receive: arrive };
    this.net.open.add(entry);
    const socket: IpSocket = {
      localPort: o.port,
      drain: () => {
        for (const d of queued.splice(0)) receive(d);
      },
      close: () => void this.net.open.delete(entry),
      send: (bytes, to) => {
        if (this.net.cut) return ok(undefined);
        const kept = bytes.slice();
        const at = this.net.now + 1000;
        this.net.at(at, () => {
          for (const e of this.net.open)
            if (e.host.address === to.address && e.o.port === to.port)
              e.receive({
                bytes: kept,
                header: undefined,
                source: this.address,
                destination: to.address,
                sourcePort: o.port,
                ttl: e.host.ttlSeen,
                ifindex: 1,
                at: us(at),
              });
        });
        return ok(undefined);
      },
    };
    return ok(socket);
  }
}
const A = ip('192.0.2.1');
const B = ip('192.0.2.2');
const instance = (neighbour: IpAddress, o: Partial<BfdInstance> = {}): BfdInstance => ({
  ...BFD_DEFAULTS,
  ttl: BFD_DEFAULT_TTL[4],
  name: 'peer',
  neighbour,
  minTx: us(50_000),
  minRx: us(50_000),
  ...o,
});
function pair(o: Partial<BfdInstance> = {}): { net: Net; a: Host; b: Host } {
  const net = new Net();
  const [a, b] = [new Host(net, A), new Host(net, B)];
  assert.equal(a.driver.apply([instance(B, o)]).size, 0);
  assert.equal(b.driver.apply([instance(A, o)]).size, 0);
  net.run(3000);
  return { net, a, b };
}

test('two drivers come up, notice a cut within the detection time, and come up again', () => {
  const { net, a, b } = pair();
  assert.deepEqual([a.heard, b.heard], [['peer up'], ['peer up']]);
  net.cut = true;
  net.run(260);
  assert.deepEqual([a.heard.at(-1), b.heard.at(-1)], ['peer down', 'peer down']);
  net.cut = false;
  net.run(3000);
  assert.deepEqual([a.heard.at(-1), b.heard.at(-1)], ['peer up', 'peer up']);
  const down = a.logged.find((e) => e.fields?.['to'] === 'down');
  assert.deepEqual(
    [down?.code, down?.text.en, down?.text.zh],
    ['bfd.state', 'peer: up -> down: the neighbour was silent for too long', 'peer：正常 -> 中断：邻居沉默过久'],
  );
});

test('source ports are from the range of RFC 5881, and the well-known port is listened on once for a family', () => {
  const net = new Net();
  const a = new Host(net, A);
  a.driver.apply([
    instance(B),
    instance(ip('192.0.2.3'), { name: 'other' }),
    instance(B, { name: 'far', multihop: true }),
  ]);
  const ports = [...net.open].map((e) => e.o.port).sort((x, y) => x - y);
  assert.deepEqual(ports.slice(0, 2), [3784, 4784]);
  assert.equal(ports.length, 5);
  assert.ok(ports.slice(2).every((p) => p >= 49152 && p <= 65535));
  a.driver.stop();
  assert.equal(net.open.size, 0);
});

test('stopping tells the neighbour at once, and is not reported here', () => {
  const { net, a, b } = pair();
  a.driver.stop();
  net.run(2);
  assert.deepEqual([a.heard, b.heard], [['peer up'], ['peer up', 'peer down']]);
  assert.match(b.logged.at(-1)?.text.en ?? '', /the neighbour says that the session is down/);
});

test('a reload that changes timings keeps the session up and negotiates; one that changes the address ends it', () => {
  const { net, a, b } = pair();
  a.driver.apply([instance(B, { minTx: us(200_000), minRx: us(200_000) })]);
  net.run(2000);
  assert.deepEqual([a.heard, b.heard], [['peer up'], ['peer up']]);
  assert.equal(b.driver.status()[0]?.session.remote.minRx, 200_000);
  assert.equal(a.driver.status()[0]?.session.txInForce, 200_000);
  a.driver.apply([instance(ip('192.0.2.3'))]);
  net.run(10);
  assert.equal(b.heard.at(-1), 'peer down');
});

test('packets from strangers, for other sessions or over too many hops never bring a session up', () => {
  const net = new Net();
  const [a, b, c] = [new Host(net, A), new Host(net, B), new Host(net, ip('192.0.2.3'))];
  a.driver.apply([instance(B)]);
  c.driver.apply([instance(A)]);
  net.run(5000);
  assert.deepEqual([a.heard, c.heard], [[], []]);
  a.ttlSeen = 254;
  b.driver.apply([instance(A)]);
  net.run(5000);
  assert.deepEqual(a.heard, []);
  assert.equal(a.logged.filter((e) => e.code === 'bfd.complaint').length, 1, 'said once, not for every packet');
});

test('a packet that names the session is still taken from its neighbour alone', () => {
  const { net, a, b } = pair();
  const real = a.driver.status()[0]?.session ?? assert.fail('no session');
  const bytes = encodeBfd({
    diagnostic: 0,
    state: 'down',
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    multiplier: 5,
    myDiscriminator: 9,
    yourDiscriminator: real.localDiscriminator,
    desiredMinTx: us(1_000_000),
    requiredMinRx: us(50_000),
    requiredMinEchoRx: us(0),
    authentication: undefined,
  });
  const listener = [...net.open].find((e) => e.host === a && e.o.port === 3784) ?? assert.fail('not listening');
  const forged = { bytes, header: undefined, destination: A, sourcePort: 49152, ttl: 255, ifindex: 1, at: us(net.now) };
  listener.receive({ ...forged, source: ip('192.0.2.66') });
  assert.deepEqual([a.heard, b.heard], [['peer up'], ['peer up']]);
  listener.receive({ ...forged, source: B });
  assert.deepEqual(a.heard, ['peer up', 'peer down'], 'the same from the neighbour counts');
});

test('what waits on the socket is read before silence is judged', () => {
  const { net, a } = pair();
  a.deaf = true; // the loop is in time, but other work comes before the socket each time
  net.run(2000);
  assert.deepEqual(a.heard, ['peer up']);
  net.cut = true;
  net.run(300);
  assert.deepEqual(a.heard, ['peer up', 'peer down']);
});

test('malformed packets are logged once and counted for nothing', () => {
  const { net, a } = pair();
  const listener = [...net.open].find((e) => e.host === a && e.o.port === 3784) ?? assert.fail('not listening');
  for (let i = 0; i < 100; i++) {
    const bytes = new Uint8Array(24).fill(i);
    if (decodeBfd(bytes).ok) continue;
    listener.receive({
      bytes,
      header: undefined,
      source: B,
      destination: A,
      sourcePort: 49152,
      ttl: 255,
      ifindex: 1,
      at: us(net.now),
    });
  }
  assert.deepEqual(a.heard, ['peer up']);
  const complaints = a.logged.filter((e) => e.code === 'bfd.complaint');
  assert.equal(new Set(complaints.map((e) => e.fields?.['kind'])).size, complaints.length);
});

test('an instance whose socket is refused is reported by name, and the rest run', () => {
  const net = new Net();
  const a = new Host(net, A);
  a.refuse = 'EACCES';
  assert.deepEqual(
    [...a.driver.apply([instance(B)])].map(([name, e]) => [name, e.code]),
    [['peer', 'EACCES']],
  );
  a.refuse = undefined;
  assert.equal(a.driver.apply([instance(B)]).size, 0);
  assert.equal(a.driver.status().length, 1);
});
