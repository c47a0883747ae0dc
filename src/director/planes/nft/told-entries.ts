/** Connections of another director that are entries of connection tracking here, before the first of their packets comes by. */
import { familyOf } from '../../../base/index.ts';
import type { NetlinkChannel, NetlinkRequest } from '../../../host/index.ts';
import {
  type ConntrackEntry,
  type ConntrackTuple,
  CT_MSG,
  NLM_F,
  writeConntrack,
  writeConntrackChange,
} from '../../../wire/index.ts';
import type { FlowException } from '../../types.ts';
import { isFlowOf } from '../flow-of.ts';
import { isToldMark, serverMark, TOLD_BIT } from '../marks.ts';
import { type Connections, entryOf, tupleId, tupleOf } from './connections.ts';
import type { Carried } from './exceptions.ts';

type Put = { readonly tuple: ConntrackTuple; readonly mark: number; at: number };
type New = { readonly put: Put; readonly entry: ConntrackEntry; readonly replace: boolean };

/** Seconds: IPVS's time for an idle connection. What is still told is renewed long before. */
export const TIMEOUT = 900;
/** Ticks, about seconds. */
export const RENEW = 300;
const [ENOENT, EEXIST] = [2, 17];

export type ToldEntriesPorts = {
  readonly channel: Pick<NetlinkChannel, 'transact'>;
  readonly half: Pick<Carried, 'service' | 'image'>;
  /** Whether a service's address is this host's now. */
  readonly isHere: (address: string) => boolean;
  /** The mark of a connection that came by here. */
  readonly ours: (id: string) => number | undefined;
};

export class ToldEntries {
  readonly #o: ToldEntriesPorts;
  readonly #put = new Map<string, Put>();
  #now = 0;

  constructor(o: ToldEntriesPorts) {
    this.#o = o;
  }
  /** About once a second. */
  tick(): void {
    this.#now++;
  }
  /** It ended, or came by and is this director's. */
  forget(tuple: ConntrackTuple): void {
    this.#put.delete(tupleId(tuple));
  }
  /** The whole table, as it was read between tick `since` and now. */
  whole(entries: readonly ConntrackEntry[], since: number): void {
    const told = entries.filter((e) => isToldMark(e.mark));
    const ids = new Set(told.map((e) => tupleId(e.original)));
    for (const [id, p] of this.#put) if (p.at < since && !ids.has(id)) this.#put.delete(id);
    // Those that an earlier process put are renewed when they are told again, and lapse if they are not.
    for (const e of told) {
      const id = tupleId(e.original);
      if (!this.#put.has(id)) this.#put.set(id, { tuple: e.original, mark: e.mark, at: -RENEW });
    }
  }
  /** The address is another's now: what is known here of its connections is as if it had been told, and lapses unless it is. */
  giveUp(away: ReturnType<Connections['takeAway']>): void {
    if (away.length === 0) return;
    const marked = away.map((c) => ({ ...c, mark: (c.mark | TOLD_BIT) >>> 0 }));
    const outcomes = this.#o.channel.transact(
      marked.map(({ tuple, mark }) => change(CT_MSG.new, tuple, { mark, timeout: TIMEOUT })),
    );
    marked.forEach(({ tuple, mark }, i) => {
      if (outcomes[i]?.errno === 0) this.#put.set(tupleId(tuple), { tuple, mark, at: this.#now });
    });
  }

  /** Repeating does no harm: an entry is renewed now and then. */
  adopt(flows: readonly FlowException[]): void {
    const create: New[] = [];
    const renew: Put[] = [];
    const remove: ConntrackTuple[] = [];
    for (const f of flows) {
      const place = this.#placeOf(f);
      if (place === undefined) continue;
      const { tuple, mark, address, port } = place;
      const id = tupleId(tuple);
      const here = this.#o.isHere(f.address);
      const ours = this.#o.ours(id);
      if (ours !== undefined && (here || (ours | TOLD_BIT) >>> 0 === mark)) continue;
      const put = this.#put.get(id);
      if (put?.mark === mark) {
        if (!here && this.#now - put.at >= RENEW) renew.push(put);
        continue;
      }
      if (put !== undefined || ours !== undefined) remove.push(tuple);
      const entry = entryOf(tuple, { mark, address, port, timeout: TIMEOUT });
      create.push({ put: { tuple, mark, at: this.#now }, entry, replace: !here });
    }
    this.#remove(remove);
    this.#create(create);
    this.#renew(renew);
  }
  abandon(flows: readonly FlowException[]): void {
    const over: ConntrackTuple[] = [];
    for (const f of flows) {
      const service = this.#o.half.service(f.service);
      const tuple = service && tupleOf(service, f);
      if (tuple !== undefined && this.#put.has(tupleId(tuple))) over.push(tuple);
    }
    this.#remove(over);
  }
  #placeOf(f: FlowException) {
    const service = this.#o.half.service(f.service);
    const image = this.#o.half.image(f.service);
    if (!service || !image || !isFlowOf(service.match, f)) return undefined;
    const server = image.servers[service.servers.findIndex((s) => s.key === f.server)];
    const tuple = tupleOf(service, f);
    if (!server || !tuple) return undefined;
    const mark = (serverMark(image.id, server.number) | TOLD_BIT) >>> 0;
    return { tuple, mark, address: server.address, port: server.port === 0 ? f.port : server.port };
  }
  #create(all: readonly New[]): void {
    // What is left here of a connection that had these ports before. Where packets come by it may be the newer one.
    const old = this.#send(all).filter((c) => c.replace);
    if (old.length === 0) return;
    this.#remove(old.map((c) => c.put.tuple));
    this.#send(old);
  }
  /** Tells those that were there already. */
  #send(list: readonly New[]): readonly New[] {
    if (list.length === 0) return [];
    const flags = NLM_F.create | NLM_F.excl;
    const outcomes = this.#o.channel.transact(
      list.map(({ entry }) => ({ type: CT_MSG.new, flags, write: (w) => writeConntrack(w, entry) })),
    );
    list.forEach(({ put }, i) => {
      if (outcomes[i]?.errno === 0) this.#put.set(tupleId(put.tuple), put);
    });
    return list.filter((_, i) => outcomes[i]?.errno === EEXIST);
  }
  #renew(all: readonly Put[]): void {
    if (all.length === 0) return;
    const outcomes = this.#o.channel.transact(all.map((p) => change(CT_MSG.new, p.tuple, { timeout: TIMEOUT })));
    all.forEach((p, i) => {
      if (outcomes[i]?.errno === ENOENT) this.#put.delete(tupleId(p.tuple));
      else p.at = this.#now;
    });
  }
  #remove(tuples: readonly ConntrackTuple[]): void {
    if (tuples.length === 0) return;
    this.#o.channel.transact(tuples.map((t) => change(CT_MSG.delete, t, {})));
    for (const t of tuples) this.#put.delete(tupleId(t));
  }
}
const change = (
  type: number,
  original: ConntrackTuple,
  o: { readonly mark?: number; readonly timeout?: number },
): NetlinkRequest => ({
  type,
  flags: 0,
  write: (w) => writeConntrackChange(w, { family: familyOf(original.source), original, ...o }),
});
