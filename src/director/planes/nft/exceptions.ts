/** Flows of direct routing that stay at their servers by the map of flows alone: the slots would send them elsewhere. */
import { type IpAddress, ok, type Result } from '../../../base/index.ts';
import type { HostError } from '../../../host/index.ts';
import type { NftElement } from '../../../wire/index.ts';
import type { FlowException, ServerKey, WantedService } from '../../types.ts';
import { serverOfMark, serviceMark } from '../marks.ts';
import { readElement } from '../nftables/index.ts';
import { flows } from './direct.ts';
import type { ServiceImage } from './image.ts';
import { type FlowEnds, slotsFind } from './rings.ts';

/** The services that lie in the table, and how. */
export type Carried = {
  readonly services: readonly WantedService[];
  service(key: string): WantedService | undefined;
  image(key: string): ServiceImage | undefined;
};
/** Reads a set a piece at a time; true: that was the last. */
export type Pieces = (set: string, take: (e: NftElement) => void) => () => Result<boolean, HostError>;
type Owner = {
  readonly service: WantedService;
  readonly servers: ReadonlyMap<number, ServerKey>;
  readonly finds: (f: FlowEnds, server: number) => boolean;
};
/** After so many flows that were read, one look is left out: looks come once a second. */
const READ_IN_LOOK = 50_000;
const families = [4, 6] as const;

/** Flows come to servers that the slots do not say, though no slot changes: by turns, or since a client is known. */
const isNeverDone = (c: Carried): boolean =>
  c.services.some((s) => {
    const choice = c.image(s.key)?.kind?.choice;
    return !s.onePacket && (s.persistence !== undefined || choice === 'turn' || choice === 'chance');
  });

export class FlowExceptions {
  /** Slots changed, or flows of others came, since a whole look found none. */
  #due = true;
  #walk: Walk | undefined;
  #pause = 0;
  /** What the last whole look found. */
  #found: ReadonlyMap<string, FlowException> = new Map();
  #told: readonly FlowException[] = [];

  /** Slots are not what they were, or flows of another director are there: there may be more. A look that has begun goes on, and another follows it. */
  changed(): void {
    this.#due = true;
  }
  /** Numbers of servers may be others' from now on: what a look has found of them so far is wrong. */
  abort(): void {
    this.#walk = undefined;
  }
  /** `more`: to be called again. */
  look(most: number, carried: Carried, pieces: Pieces): Result<readonly FlowException[] | 'more', HostError> {
    if (this.#walk === undefined) {
      this.#due ||= isNeverDone(carried);
      if (!this.#due) return ok([]);
      if (this.#pause > 0) {
        this.#pause--;
        return ok(this.#told);
      }
      this.#due = false;
      this.#walk = new Walk(most, carried, pieces);
    }
    const walk = this.#walk;
    const done = walk.step();
    if (done.ok && !done.value) return ok('more');
    this.#walk = undefined;
    this.#due ||= !done.ok || walk.found.size > 0 || this.#found.size > 0;
    if (!done.ok) return done;
    this.#pause = Math.floor(walk.read / READ_IN_LOOK);
    // The kernel's reading of a map that packets change may miss some: what was there before counts once more.
    const told = new Map([...this.#found, ...walk.found]);
    this.#found = walk.found;
    this.#told = [...told.values()];
    return ok(this.#told);
  }
}

/** One look through both maps. */
class Walk {
  readonly found = new Map<string, FlowException>();
  read = 0;
  readonly #most: number;
  readonly #owners = new Map<number, Owner>();
  readonly #pieces: (() => Result<boolean, HostError>)[];

  constructor(most: number, carried: Carried, pieces: Pieces) {
    this.#most = most;
    for (const service of carried.services) {
      const image = carried.image(service.key);
      if (image === undefined || service.onePacket) continue;
      const servers = new Map(image.servers.map((x, i) => [x.number, service.servers[i]?.key ?? '']));
      this.#owners.set(serviceMark(image.id), { service, servers, finds: slotsFind(service, image) });
    }
    this.#pieces = families.map((f) => pieces(flows[f].name, (e) => this.#take(f, e)));
  }
  /** True: that was all. */
  step(): Result<boolean, HostError> {
    const done = this.#pieces[0]?.() ?? ok(true);
    if (!done.ok || !done.value) return done;
    this.#pieces.shift();
    return ok(this.#pieces.length === 0);
  }
  #take(f: 4 | 6, e: NftElement): void {
    this.read++;
    const flow = readElement(flows[f], e);
    if (flow === undefined || this.found.size > this.#most) return;
    const [client, clientPort, mark] = flow.key as [IpAddress, number, number];
    const owner = this.#owners.get(mark);
    const number = serverOfMark(flow.data?.[0] as number);
    const server = owner?.servers.get(number);
    if (owner === undefined || server === undefined || owner.finds({ client, clientPort }, number)) return;
    const { key: service, match } = owner.service;
    if (match.by !== 'address') return;
    // Of several addresses the map does not say which; for whoever keeps flows as this plane does, it does not matter.
    const address = match.ranges[0]?.from as IpAddress;
    const found = { service, server, client, clientPort, address, port: match.port };
    this.found.set(`${mark} ${client} ${clientPort}`, found);
  }
}
