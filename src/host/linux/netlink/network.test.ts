/** The driver against a socket that answers as the kernel does, for what the real one does too seldom to be waited for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IpAddress, ok } from '../../../base/index.ts';
import {
  decodeMessages,
  encodeAcknowledgement,
  encodeAddress,
  encodeLink,
  encodeMessages,
  encodeRoute,
  type LinkAddress,
  type NetlinkMessage,
  NLM_F,
  NLMSG,
  type Route,
  RTM,
} from '../../../wire/index.ts';
import type { NetChange, NetCommand } from '../../index.ts';
import { LinuxNetwork } from './network.ts';
import type { NetlinkSocket } from './socket.ts';

const ENOBUFS = 105;
const PORT = 77;
type Answer = Uint8Array | number;

/** Queues answers to what is sent, one datagram each; a number is an error to be returned once. */
class FakeSocket implements NetlinkSocket {
  readonly port = PORT;
  readonly sent: NetlinkMessage[][] = [];
  readonly queue: Answer[] = [];
  answer: (request: readonly NetlinkMessage[]) => Answer[] = () => [];
  #current: readonly Uint8Array[] = [];
  send(bytes: Uint8Array): number {
    const got = decodeMessages(bytes);
    assert.ok(got.ok);
    this.sent.push([...got.value]);
    this.queue.push(...this.answer(got.value));
    return bytes.length;
  }
  receive(): number {
    const next = this.queue[0];
    if (typeof next === 'number') return this.queue.shift() as number;
    const end = this.queue.findIndex((a, i) => typeof a === 'number' || i === 4);
    this.#current = this.queue.splice(0, end < 0 ? this.queue.length : end) as Uint8Array[];
    return this.#current.length;
  }
  datagram(i: number): { bytes: Uint8Array; cut: boolean } {
    return { bytes: this.#current[i] as Uint8Array, cut: false };
  }
  watch(): number {
    return 0;
  }
  close(): void {}
}

const message = (type: number, payload: Uint8Array, sequence: number, flags = 0, port = PORT): Uint8Array =>
  encodeMessages([{ type, flags, sequence, port, payload }]);
const done = (sequence: number, flags = 0): Uint8Array => message(NLMSG.done, new Uint8Array(4), sequence, flags);
const ack = (m: NetlinkMessage, errno: number, words?: string): Uint8Array =>
  message(
    NLMSG.error,
    encodeAcknowledgement({ errno, request: m, ...(words !== undefined && { message: words }) }),
    m.sequence,
    NLM_F.capped | NLM_F.ackAttributes,
  );

const eth0 = encodeLink({
  ifindex: 2,
  name: 'eth0',
  mac: '02:00:00:00:00:01',
  mtu: 1500,
  up: true,
  adminUp: true,
  loopback: false,
  pointToPoint: false,
  multicast: true,
  hardware: 1,
  kind: '',
  lower: 0,
  master: 0,
});
const address = (n: number, label?: string): LinkAddress => ({
  ifindex: 2,
  prefix: { address: `10.0.0.${n}` as IpAddress, length: 32 },
  scope: 'global',
  ...(label !== undefined && { label }),
});
const route = (table: number): Route => ({
  family: 4,
  type: 'unicast',
  table,
  protocol: 4,
  scope: 'link',
  hops: [{ ifindex: 2 }],
});

/** A kernel with one link and the given addresses. */
function world(addresses: () => readonly LinkAddress[] = () => []) {
  const requests = new FakeSocket();
  const monitor = new FakeSocket();
  const tables = ([m]: readonly NetlinkMessage[]): Answer[] => {
    if (m?.type === RTM.getLink) return [message(RTM.newLink, eth0, m.sequence), done(m.sequence)];
    if (m?.type === RTM.getAddress)
      return [...addresses().map((a) => message(RTM.newAddress, encodeAddress(a), m.sequence)), done(m.sequence)];
    return [];
  };
  requests.answer = tables;
  const logged: string[] = [];
  const opened = LinuxNetwork.open({ requests, monitor }, { write: (e) => logged.push(e.code) });
  assert.ok(opened.ok);
  const changes: NetChange[] = [];
  opened.value.watch((c) => changes.push(c));
  return { network: opened.value, requests, monitor, tables, logged, changes };
}

test('a table that changed while it was read is read again, from its start', () => {
  const w = world();
  let attempt = 0;
  w.requests.answer = ([m]) => {
    assert.ok(m);
    attempt++;
    return attempt < 3
      ? [message(RTM.newRoute, encodeRoute(route(1)), m.sequence, NLM_F.dumpInterrupted), done(m.sequence)]
      : [message(RTM.newRoute, encodeRoute(route(2)), m.sequence), done(m.sequence)];
  };
  assert.deepEqual(w.network.routes({ family: 4 }), ok([route(2)]));
  attempt = Number.NEGATIVE_INFINITY;
  const never = w.network.routes({ family: 4 });
  assert.equal(never.ok === false && never.error.code, 'EAGAIN');
});

test('a kernel that does not filter is filtered after', () => {
  const w = world();
  w.requests.answer = ([m]) => {
    assert.ok(m);
    return [254, 100, 300]
      .map((t) => message(RTM.newRoute, encodeRoute(route(t)), m.sequence))
      .concat(done(m.sequence));
  };
  assert.deepEqual(w.network.routes({ family: 4, table: 300 }), ok([route(300)]));
});

test('only the last of a batch asks for an answer, and each refusal finds its command', () => {
  const w = world();
  w.requests.sent.length = 0;
  w.requests.answer = (batch) =>
    batch.flatMap((m, i) =>
      i === 1 ? [ack(m, 19, 'no such device')] : (m.flags & NLM_F.ack) !== 0 ? [ack(m, 0)] : [],
    );
  const commands = [1, 2, 3].map((n): NetCommand => ({ do: 'address-replace', address: address(n) }));
  const results = w.network.apply(commands);
  assert.deepEqual(
    results.map((r) => (r.ok ? 'done' : r.error.code)),
    ['done', 'ENODEV', 'done'],
  );
  assert.match(
    results[1]?.ok === false ? results[1].error.doing.en : '',
    /10\.0\.0\.2\/32 dev eth0\): the kernel says "no such device"$/,
  );
  assert.deepEqual(
    w.requests.sent.map((batch) => batch.map((m) => (m.flags & NLM_F.ack) !== 0)),
    [[false, false, true]],
  );
});

test('batches stay below 32 KiB and a message', () => {
  const w = world();
  w.requests.sent.length = 0;
  w.requests.answer = (batch) => batch.filter((m) => (m.flags & NLM_F.ack) !== 0).map((m) => ack(m, 0));
  const many = Array.from(
    { length: 2000 },
    (_, i): NetCommand => ({ do: 'address-replace', address: address(i % 250, 'a-label-of-15-c') }),
  );
  assert.ok(w.network.apply(many).every((r) => r.ok));
  assert.equal(w.requests.sent.flat().length, 2000);
  for (const batch of w.requests.sent) {
    assert.ok(batch.length <= 512);
    assert.ok(batch.reduce((n, m) => n + 16 + m.payload.length, 0) < 33 * 1024);
  }
});

test('where answers were lost, silence is not taken for success', () => {
  const w = world();
  w.requests.answer = (batch) => [-ENOBUFS, ...batch.slice(-1).map((m) => ack(m, 0))];
  const commands = [1, 2].map((n): NetCommand => ({ do: 'address-replace', address: address(n) }));
  const codes = (): string[] => w.network.apply(commands).map((r) => (r.ok ? 'done' : r.error.code));
  assert.deepEqual(codes(), ['ENOBUFS', 'done']);
  w.requests.answer = () => [];
  assert.deepEqual(codes(), ['ENOBUFS', 'ENOBUFS']);
});

test('lost notices: everything is read again, the watchers are told so, and the mirror is what was read', () => {
  let held = [address(1)];
  const w = world(() => held);
  held = [address(2)];
  w.monitor.queue.push(-ENOBUFS);
  w.network.drain();
  assert.deepEqual(w.changes, [{ kind: 'resync' }]);
  assert.deepEqual(w.network.addresses(), [address(2)]);
  assert.deepEqual(w.logged, ['network.overrun']);
});

test('a notice that says nothing new is not passed on, and hostile ones change nothing', () => {
  const w = world(() => [address(1)]);
  const news = encodeAddress(address(1, 'eth0'));
  w.monitor.queue.push(message(RTM.newAddress, news, 0, 0, 0), message(RTM.newLink, eth0, 0, 0, 0));
  w.monitor.queue.push(message(RTM.newAddress, news.subarray(0, 11), 0), message(RTM.newLink, new Uint8Array(3), 0));
  w.network.drain();
  // The label is the link's name: news to the mirror, none to a reader.
  assert.deepEqual(w.changes, [{ kind: 'address', address: address(1) }]);
  assert.deepEqual(w.network.addresses(), [address(1)]);
});

test('a watcher may ask and drain without hearing anything twice or out of order', () => {
  const w = world();
  const heard: string[] = [];
  w.network.watch((c) => {
    if (c.kind === 'address') heard.push(c.address.prefix.address);
    w.network.drain();
  });
  for (const n of [1, 2, 3]) w.monitor.queue.push(message(RTM.newAddress, encodeAddress(address(n)), 0));
  w.network.drain();
  assert.deepEqual(heard, ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
});
