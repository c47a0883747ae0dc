/**
 * NAT's connections that another director could not carry on without an entry of its own, as the kernel tells of them. No
 * I/O: it is fed with entries of connection tracking, and asked what came and went.
 */
import { familyOf, type IpAddress } from '../../../base/index.ts';
import { type ConntrackEntry, type ConntrackTuple, CT_STATUS } from '../../../wire/index.ts';
import type { ExceptionChanges, FlowException, ServerKey, WantedService } from '../../types.ts';
import { isOurMark, serverOfMark, serviceOfMark } from '../marks.ts';
import { PROTOCOL_NUMBER } from '../matches.ts';
import type { FlowEnds } from './rings.ts';

/** What a service's number stands for now. */
export type Named = {
  readonly service: WantedService;
  /** By number. */
  readonly servers: ReadonlyMap<number, ServerKey>;
  /** Whether the slots alone find the flow's server again. */
  readonly finds: (f: FlowEnds, server: number) => boolean;
};
export type ConnectionPorts = {
  readonly named: (service: number) => Named | undefined;
  /** The service's address is this host's: packets come by here, and what is known here is so. */
  readonly isHere: (address: IpAddress) => boolean;
};
type Connection = {
  readonly tuple: ConntrackTuple;
  readonly mark: number;
  /** Undefined: it is not told. */
  flow: FlowException | undefined;
};

/** Most that are followed. */
const MOST = 262_144;
/** Both ends know of the connection, and one of them at least may still send. */
const ALIVE: ReadonlySet<ConntrackEntry['tcpState']> = new Set(['established', 'fin-wait', 'close-wait']);

export const tupleId = (t: ConntrackTuple): string =>
  `${t.protocol} ${t.source} ${t.sourcePort} ${t.destination} ${t.destinationPort}`;
/** Undefined: of no service that is told of. */
export function tupleOf(s: WantedService, f: FlowException): ConntrackTuple | undefined {
  if (s.match.by !== 'address' || s.match.protocol === 'sctp') return undefined;
  const { client: source, clientPort: sourcePort, address: destination, port: destinationPort } = f;
  return { source, sourcePort, destination, destinationPort, protocol: PROTOCOL_NUMBER[s.match.protocol] };
}
/** Its client's address is not hidden: an entry elsewhere would hide it behind another address and port. */
const isPlain = (e: ConntrackEntry): boolean =>
  e.reply.destination === e.original.source && e.reply.destinationPort === e.original.sourcePort;
function isAlive(e: ConntrackEntry): boolean {
  if ((e.status & CT_STATUS.assured) === 0) return false;
  // A notification tells the state only where it changed.
  return e.tcpState === undefined || ALIVE.has(e.tcpState);
}

export class Connections {
  readonly #ports: ConnectionPorts;
  readonly #all = new Map<string, Connection>();
  #set = new Map<string, FlowException>();
  #gone = new Map<string, FlowException>();
  /** While the table is read: of what was heard meanwhile, that is newer than what was read. */
  #heard: Set<string> | undefined;
  /** Some may be of addresses that are not this host's. */
  #away = false;

  constructor(ports: ConnectionPorts) {
    this.#ports = ports;
  }
  /** The mark of a connection that came by here. */
  mark(id: string): number | undefined {
    return this.#all.get(id)?.mark;
  }
  get hasChanges(): boolean {
    return this.#set.size + this.#gone.size > 0;
  }

  /** New, or other than before. True: it is one of those that are followed. */
  saw(e: ConntrackEntry): boolean {
    const id = tupleId(e.original);
    this.#heard?.add(id);
    return this.#saw(id, e);
  }
  #saw(id: string, e: ConntrackEntry): boolean {
    if (!isOurMark(e.mark) || !isAlive(e) || !isPlain(e)) {
      this.#drop(id);
      return false;
    }
    const known = this.#all.get(id);
    if (known?.mark === e.mark) return true;
    if (known === undefined && this.#all.size >= MOST) return false;
    const c: Connection = { tuple: e.original, mark: e.mark, flow: undefined };
    this.#all.set(id, c);
    this.#judge(id, c, known?.flow);
    return true;
  }
  ended(e: Pick<ConntrackEntry, 'original'>): void {
    const id = tupleId(e.original);
    this.#heard?.add(id);
    this.#drop(id);
  }
  /** The table begins to be read. */
  beginReading(): void {
    this.#heard = new Set();
  }
  /** All that there were: what was missed came, or went. */
  whole(entries: readonly ConntrackEntry[]): void {
    const known = this.#heard ?? new Set<string>();
    this.#heard = undefined;
    for (const e of entries) {
      const id = tupleId(e.original);
      if (!known.has(id) && this.#saw(id, e)) known.add(id);
    }
    for (const id of [...this.#all.keys()]) if (!known.has(id)) this.#drop(id);
  }
  /** Services, their slots or this host's addresses are others. */
  changed(): void {
    for (const [id, c] of this.#all) this.#judge(id, c, c.flow);
  }
  /** What came and went since they were last taken. */
  takeChanges(): ExceptionChanges {
    const out = { set: [...this.#set.values()], gone: [...this.#gone.values()] };
    this.#set = new Map();
    this.#gone = new Map();
    return out;
  }
  list(most: number): readonly FlowException[] {
    const out: FlowException[] = [];
    for (const c of this.#all.values()) {
      if (out.length > most) break;
      if (c.flow !== undefined) out.push(c.flow);
    }
    return out;
  }
  /** Those of addresses that are not this host's: they are not followed any more. */
  takeAway(): readonly { readonly tuple: ConntrackTuple; readonly mark: number }[] {
    if (!this.#away) return [];
    this.#away = false;
    const away = [...this.#all].filter(([, c]) => !this.#ports.isHere(c.tuple.destination));
    for (const [id] of away) this.#drop(id);
    return away.map(([, c]) => c);
  }

  #drop(id: string): void {
    const c = this.#all.get(id);
    if (c === undefined) return;
    this.#all.delete(id);
    this.#tell(id, c.flow, undefined);
  }
  #judge(id: string, c: Connection, before: FlowException | undefined): void {
    c.flow = this.#flowOf(c);
    this.#tell(id, before, c.flow);
  }
  #flowOf({ tuple: t, mark }: Connection): FlowException | undefined {
    if (!this.#ports.isHere(t.destination)) {
      this.#away = true;
      return undefined;
    }
    const named = this.#ports.named(serviceOfMark(mark));
    const number = serverOfMark(mark);
    const server = named?.servers.get(number);
    if (named === undefined || server === undefined) return undefined;
    const ends = { client: t.source, clientPort: t.sourcePort };
    const flow = { service: named.service.key, server, ...ends, address: t.destination, port: t.destinationPort };
    const tuple = tupleOf(named.service, flow);
    return tuple?.protocol === t.protocol && !named.finds(ends, number) ? flow : undefined;
  }
  #tell(id: string, before: FlowException | undefined, now: FlowException | undefined): void {
    if (before?.service === now?.service && before?.server === now?.server) return;
    // Of another service it is another flow to the other director.
    if (before !== undefined && before.service !== now?.service) {
      this.#set.delete(id);
      this.#gone.set(`${before.service} ${id}`, before);
    }
    if (now === undefined) return;
    this.#gone.delete(`${now.service} ${id}`);
    this.#set.set(id, now);
  }
}
/** An entry as the kernel would have it had the connection come by here. */
export function entryOf(
  t: ConntrackTuple,
  o: { readonly mark: number; readonly address: IpAddress; readonly port: number; readonly timeout: number },
): ConntrackEntry {
  const tcp = { tcpState: 'established', tcpLiberal: true } as const;
  return {
    family: familyOf(t.source),
    original: t,
    reply: {
      ...t,
      source: t.destination,
      destination: t.source,
      sourcePort: t.destinationPort,
      destinationPort: t.sourcePort,
    },
    status: CT_STATUS.confirmed | CT_STATUS.seenReply | CT_STATUS.assured,
    mark: o.mark,
    timeout: o.timeout,
    destinationNat: { address: o.address, port: o.port },
    ...(t.protocol === PROTOCOL_NUMBER.tcp && tcp),
  };
}
