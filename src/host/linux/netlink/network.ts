import { type Family, familyOf, ok, type Result, text } from '../../../base/index.ts';
import {
  decodeMessages,
  decodeNeighbour,
  decodeRoute,
  decodeRule,
  isCachedRoute,
  type Link,
  type LinkAddress,
  type Neighbour,
  type NetlinkMessage,
  type Route,
  RTM,
  type Rule,
  writeAddressDump,
  writeLinkIndex,
  writeNeighbourDump,
  writeRouteDump,
  writeRuleDump,
} from '../../../wire/index.ts';
import type {
  Cancel,
  HostError,
  Log,
  NetChange,
  NetCommand,
  NetlinkOutcome,
  NetlinkRequest,
  Network,
} from '../../index.ts';
import { type Addon, errnoName } from '../addon.ts';
import { alreadySo, doing, requestsOf } from './commands.ts';
import { keyOfAddress, Mirror } from './mirror.ts';
import { Requests, withMessage } from './requests.ts';
import { NETLINK_OPTION, type NetlinkSocket, openNetlinkSocket } from './socket.ts';

/** RTMGRP_* and 1 << (RTNLGRP_* - 1): links, addresses, routes and rules of both families. */
const GROUPS = 0x1 | 0x10 | 0x100 | 0x40 | 0x400 | 0x80 | 0x40000;
/** Room for some 16 000 notifications: a thousand addresses with their routes, or a table that is being flushed. */
const MONITOR_BUFFER = 16 << 20;
const REQUEST_BUFFER = 4 << 20;
/** As many wakes as the receive buffer can hold; a storm that outruns even this is left for the next turn of the event loop. */
const MAX_BATCHES = 512;
const ENOENT = 2;
const EINVAL = 22;

export type NetlinkSockets = { readonly requests: NetlinkSocket; readonly monitor: NetlinkSocket };

/** The tables of the network namespace that this thread is in when it opens. */
export function openNetwork(addon: Addon, log: Log): Result<LinuxNetwork, HostError> {
  const monitor = openNetlinkSocket(addon, {
    groups: GROUPS,
    options: [],
    receiveBuffer: MONITOR_BUFFER,
    slots: 64,
    slotBytes: 16 << 10,
  });
  if (!monitor.ok) return monitor;
  const requests = openNetlinkSocket(addon, {
    groups: 0,
    options: Object.values(NETLINK_OPTION),
    receiveBuffer: REQUEST_BUFFER,
    slots: 16,
    slotBytes: 32 << 10, // what a dump is cut into at most
  });
  if (!requests.ok) {
    monitor.value.close();
    return requests;
  }
  return LinuxNetwork.open({ requests: requests.value, monitor: monitor.value }, log);
}

export class LinuxNetwork implements Network {
  readonly #requests: Requests;
  readonly #monitor: NetlinkSocket;
  readonly #log: Log;
  readonly #mirror = new Mirror();
  readonly #watchers = new Set<(c: NetChange) => void>();
  /** Changes that are in the mirror and that the watchers have not heard of. */
  readonly #untold: NetChange[] = [];
  #telling = false;
  #tellSoon = false;
  /** Requests were sent since the notifications were last read: the mirror is older than what this process did. */
  #behind = false;
  /** Sequence numbers of removals whose notifications may still be queued, with the address that was to go. */
  readonly #removing = new Map<number, string>();

  /** Subscribed first, then read: what changes meanwhile is queued and not missed. */
  static open(sockets: NetlinkSockets, log: Log): Result<LinuxNetwork, HostError> {
    const network = new LinuxNetwork(sockets, log);
    const read = network.#reread();
    if (!read.ok) {
      network.close();
      return read;
    }
    sockets.monitor.watch((n) => network.#woken(n));
    return ok(network);
  }
  private constructor(sockets: NetlinkSockets, log: Log) {
    this.#requests = new Requests(sockets.requests);
    this.#monitor = sockets.monitor;
    this.#log = log;
  }
  close(): void {
    this.#watchers.clear();
    this.#requests.close();
    this.#monitor.close();
  }

  links(): readonly Link[] {
    this.#catchUp();
    return this.#mirror.links();
  }
  linkByName(name: string): Link | undefined {
    this.#catchUp();
    return this.#mirror.byName(name);
  }
  linkByIndex(ifindex: number): Link | undefined {
    this.#catchUp();
    return this.#mirror.byIndex(ifindex);
  }
  addresses(): readonly LinkAddress[] {
    this.#catchUp();
    return this.#mirror.addresses();
  }

  routes(o: {
    readonly family: Family;
    readonly table?: number;
    readonly protocol?: number;
  }): Result<readonly Route[], HostError> {
    const found: Route[] = [];
    const read = this.#requests.dump(
      { type: RTM.getRoute, write: (w) => writeRouteDump(w, o) },
      text(`read the routes of IPv${o.family}`, `读取 IPv${o.family} 路由`),
      () => found.splice(0),
      (m) => {
        const r = m.type === RTM.newRoute && !isCachedRoute(m.payload) ? decodeRoute(m.payload) : undefined;
        // Kernels without strict checking tell of every table and protocol.
        if (!r?.ok || r.value.family !== o.family || (o.table !== undefined && r.value.table !== o.table)) return;
        if (o.protocol === undefined || r.value.protocol === o.protocol) found.push(r.value);
      },
    );
    // With strict checking a table in which nothing ever was is refused instead of being empty.
    if (!read.ok) return read.error.code === errnoName(-ENOENT) ? ok([]) : read;
    return ok(found);
  }
  rules(family: Family): Result<readonly Rule[], HostError> {
    const found: Rule[] = [];
    const read = this.#requests.dump(
      { type: RTM.getRule, write: (w) => writeRuleDump(w, family) },
      text(`read the rules of IPv${family}`, `读取 IPv${family} 策略规则`),
      () => found.splice(0),
      (m) => {
        const r = m.type === RTM.newRule ? decodeRule(m.payload) : undefined;
        if (r?.ok && r.value.family === family) found.push(r.value);
      },
    );
    return read.ok ? ok(found) : read;
  }
  neighbours(ifindex: number): Result<readonly Neighbour[], HostError> {
    const found: Neighbour[] = [];
    const read = this.#requests.dump(
      { type: RTM.getNeighbour, write: (w) => writeNeighbourDump(w, ifindex) },
      text(`read the neighbours on link ${ifindex}`, `读取链路 ${ifindex} 上的邻居`),
      () => found.splice(0),
      (m) => {
        const n = m.type === RTM.newNeighbour ? decodeNeighbour(m.payload) : undefined;
        if (n?.ok && n.value.ifindex === ifindex) found.push(n.value);
      },
    );
    return read.ok ? ok(found) : read;
  }

  apply(commands: readonly NetCommand[]): readonly Result<void, HostError>[] {
    const results: Result<void, HostError>[] = Array(commands.length).fill(ok(undefined));
    const sent: { readonly at: number; readonly command: NetCommand; readonly request: NetlinkRequest }[] = [];
    commands.forEach((command, at) => {
      const requests = requestsOf(command);
      if ('fault' in requests) results[at] = this.#failure(command, { errno: EINVAL, message: requests.fault });
      else for (const request of requests) sent.push({ at, command, request });
    });
    if (sent.length === 0) return results;
    const outcomes = this.#requests.transact(
      sent.map((s) => s.request),
      (i, sequence) => {
        const c = sent[i]?.command;
        if (c?.do === 'address-remove') this.#removing.set(sequence, keyOfAddress(c.address));
      },
    );
    this.#behind = true;
    sent.forEach(({ at, command }, i) => {
      const outcome = outcomes[i] as NetlinkOutcome;
      if (outcome.errno === 0) this.#assume(command);
      else if (results[at]?.ok) results[at] = this.#failure(command, outcome);
    });
    return results;
  }
  #failure(command: NetCommand, o: NetlinkOutcome): Result<void, HostError> {
    const code = errnoName(-o.errno);
    if (alreadySo(command, code) || (code === 'EEXIST' && this.#isThere(command))) return ok(undefined);
    const what = doing(command, (ifindex) => this.linkByIndex(ifindex)?.name);
    return { ok: false, error: { code, doing: withMessage(what, o.message) } };
  }
  /** A macvlan of the same name is the wanted one only if it stands on the same device with the same address. */
  #isThere(c: NetCommand): boolean {
    if (c.do !== 'macvlan-add') return false;
    const link = this.linkByName(c.name);
    return link?.kind === 'macvlan' && link.lower === c.lower && link.mac === c.mac;
  }
  /** The kernel tells of a new IPv6 address only after its duplicate detection has run, even where that is left out. */
  #assume(c: NetCommand): void {
    if (c.do !== 'address-replace' || familyOf(c.address.prefix.address) !== 6) return;
    this.#catchUp();
    if (!this.#mirror.holds(c.address)) this.#untold.push(...this.#mirror.setAddress(c.address));
  }

  watch(changed: (c: NetChange) => void): Cancel {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }
  drain(): void {
    this.#pull(this.#monitor.receive());
    this.#tell();
  }

  #woken(n: number): void {
    this.#pull(n);
    this.#tell();
  }
  /** Brings the mirror up to what this process did. Its watchers hear of it later: never from inside a question. */
  #catchUp(): void {
    if (!this.#behind) return;
    this.#pull(this.#monitor.receive());
    if (this.#untold.length === 0 || this.#tellSoon) return;
    this.#tellSoon = true;
    setImmediate(() => {
      this.#tellSoon = false;
      this.#tell();
    });
  }
  /** Works through a batch that was received (`n` as the socket says it) and all that is queued behind it. */
  #pull(received: number): void {
    let lost: string | undefined;
    let n = received;
    for (let batches = 0; n !== 0 && batches < MAX_BATCHES; batches++, n = this.#monitor.receive()) {
      if (n < 0) lost = errnoName(n);
      for (let i = 0; i < n; i++) {
        const d = this.#monitor.datagram(i);
        const messages = decodeMessages(d.bytes);
        if (d.cut || !messages.ok) lost = 'EMSGSIZE';
        else for (const m of messages.value) this.#notice(m);
      }
    }
    if (n === 0) {
      this.#behind = false;
      this.#removing.clear();
    }
    if (lost !== undefined) this.#resync(lost);
  }
  #notice(m: NetlinkMessage): void {
    const mine = m.port !== 0 && m.port === this.#requests.port;
    for (const c of this.#mirror.take(m)) this.#untold.push(mine ? this.#asOwn(c, m.sequence) : c);
  }
  /** Of addresses only the one that was named: secondaries that the kernel takes along bear the same mark. */
  #asOwn(c: NetChange, sequence: number): NetChange {
    switch (c.kind) {
      case 'address-gone':
        return this.#removing.get(sequence) === keyOfAddress(c.address) ? { ...c, own: true } : c;
      case 'link-gone':
      case 'route-gone':
      case 'rule-gone':
        return { ...c, own: true };
      default:
        return c;
    }
  }
  #resync(code: string): void {
    this.#log.write({
      level: 'warning',
      code: 'network.overrun',
      text: text(
        `the kernel's notices of network changes were lost (${code}): everything is read again`,
        `内核的网络变更通知有丢失（${code}）：正在重新读取全部内容`,
      ),
      fields: { code },
    });
    const read = this.#reread();
    if (!read.ok)
      this.#log.write({
        level: 'error',
        code: 'network.unreadable',
        text: text(
          `links and addresses cannot be read: ${read.error.code}, ${read.error.doing.en}`,
          `无法读取链路与地址：${read.error.code}，${read.error.doing.zh}`,
        ),
        fields: { code: read.error.code },
      });
    this.#untold.push({ kind: 'resync' });
  }
  /** Reads all links and addresses into the mirror. On failure the mirror stays as it was. */
  #reread(): Result<void, HostError> {
    const found: NetlinkMessage[] = [];
    const take = (m: NetlinkMessage): void => {
      found.push({ ...m, payload: m.payload.slice() });
    };
    const links = this.#requests.dump(
      { type: RTM.getLink, write: (w) => writeLinkIndex(w, 0) },
      text('read the links', '读取链路'),
      () => found.splice(0),
      take,
    );
    if (!links.ok) return links;
    const from = found.length;
    const addresses = this.#requests.dump(
      { type: RTM.getAddress, write: (w) => writeAddressDump(w) },
      text('read the addresses', '读取地址'),
      () => found.splice(from),
      take,
    );
    if (!addresses.ok) return addresses;
    this.#mirror.clear();
    for (const m of found) this.#mirror.take(m);
    return ok(undefined);
  }
  #tell(): void {
    if (this.#telling) return; // a watcher that drains: the loop below goes on with what it found
    this.#telling = true;
    try {
      for (let c = this.#untold.shift(); c !== undefined; c = this.#untold.shift())
        for (const watcher of [...this.#watchers]) watcher(c);
    } finally {
      this.#telling = false;
    }
  }
}
