/**
 * One service as it lies in a table: its kind, its slots, its servers by number, and the keys that lead packets to it.
 * Made from what is wanted, or from what was read; the difference of two is a plan (service-plan.ts).
 */
import type { IpAddress } from '../../../base/index.ts';
import { NOBODY } from '../../ring/index.ts';
import type { WantedServer, WantedService } from '../../types.ts';
import { MAX_SERVERS } from '../marks.ts';
import type { ElementSpec, RuleSpec, SetSpec } from '../nftables/index.ts';
import { type Kind, kindOf } from './kind.ts';
import { fillSlots } from './slots.ts';

/** An element, and of which set. */
export type Entry = ElementSpec & { readonly set: SetSpec };
export const entryKey = (e: Entry): string => `${e.set.name} ${e.key.join(' ')}`;
export const entryText = (e: Entry): string => `${entryKey(e)} ${e.goto ?? ''} ${(e.data ?? []).join(' ')}`;

export type ImageServer = {
  readonly number: number;
  readonly address: IpAddress;
  /** 0: the port that the client asked for. */
  readonly port: number;
  /** New connections may come by persistence. */
  readonly open: boolean;
  /** DR: the number of the device behind which it is; 0 = it is this host. NAT: 0. */
  readonly device: number;
};
export type ServiceImage = {
  readonly id: number;
  /** Undefined only for what an earlier process left in pieces. */
  readonly kind: Kind | undefined;
  /** The number of the server in each slot; 0 in a seat that is free. */
  readonly slots: Uint16Array;
  readonly servers: readonly ImageServer[];
  readonly entries: readonly Entry[];
};

/** What differs between NAT and DR. */
export type Mode = {
  /** Elements by which a server is known, without those of its slots. The same number for every server of a form. */
  readonly serverElements: (service: number, s: ImageServer) => readonly Entry[];
  /** Of the chain that all services of a kind go through. */
  readonly rules: (k: Kind) => readonly RuleSpec[];
  /** Direct routing knows no ports. */
  readonly portOf: (s: WantedServer) => number;
  /** No connection tracking knows the flows: another director finds their servers by hash alone (see `choiceOf`). */
  readonly alike: boolean;
  readonly entries: (service: WantedService, id: number) => readonly Entry[];
};

/** A server keeps its number, and gets the lowest that is free when it is new. */
function numbering(had: ServiceImage | undefined): (address: IpAddress, port: number) => number {
  let next = 1;
  if (had === undefined) return () => next++;
  const numbers = new Map(had.servers.map((s) => [`${s.address} ${s.port}`, s.number]));
  const used = new Set(numbers.values());
  return (address, port) => {
    const known = numbers.get(`${address} ${port}`);
    if (known !== undefined) return known;
    while (used.has(next)) next++;
    used.add(next);
    return next;
  };
}

/** `had` gives the numbers that servers keep; `weights` stand in for those configured (emulated schedulers, thresholds). */
export function imageOf(
  mode: Mode,
  service: WantedService,
  id: number,
  had: ServiceImage | undefined,
  o: {
    readonly device: (a: IpAddress) => number;
    readonly weights?: readonly number[] | undefined;
  },
): ServiceImage {
  const numberOf = numbering(had);
  const servers = service.servers.map((s): ImageServer => {
    const [address, port] = [s.address, mode.portOf(s)];
    const open = s.weight > 0 && service.persistence !== undefined;
    return { number: numberOf(address, port), address, port, open, device: o.device(address) };
  });
  const weights =
    o.weights ?? service.servers.map((s) => (service.scheduler === 'rr' ? Math.min(1, s.weight) : s.weight));
  const indexes = fillSlots(
    service.scheduler,
    service.servers.map((s, i) => ({ key: s.key, weight: weights[i] as number })),
    { away: service.away ?? [], alike: mode.alike && !service.onePacket },
  );
  return {
    id,
    kind: kindOf(service, id, indexes.length, mode.alike),
    slots: Uint16Array.from(indexes, (i) => (i === NOBODY ? 0 : (servers[i] as ImageServer).number)),
    servers,
    entries: mode.entries(service, id),
  };
}

/** More servers than have numbers. */
export const tooManyServers = (s: WantedService): boolean => s.servers.length >= MAX_SERVERS;
