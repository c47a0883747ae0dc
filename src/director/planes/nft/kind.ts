/**
 * How a service chooses: its kind. Services of one kind share one chain of constant rules, whose name tells a later process
 * what the kind is. So a service is elements of maps and nothing else, but for those that have a counter of their own.
 */
import { invariant } from '../../../base/index.ts';
import type { WantedService } from '../../types.ts';
import { familyOfMatch } from '../matches.ts';
import { choiceOf } from './slots.ts';

/** `turn`: one after the other, by a counter of the service's own. `chance`: by weighted chance, without one. */
export type Choice = 'turn' | 'chance' | 'source' | 'source-port' | 'destination';
const CHOICES: readonly Choice[] = ['turn', 'chance', 'source', 'source-port', 'destination'];
/** What a chain must do beside choosing: look at a connection's beginning, or forget the flow at once. */
export type Transport = 'tcp' | 'other' | 'one-packet';
const TRANSPORTS: readonly Transport[] = ['tcp', 'other', 'one-packet'];

/** What services with the same persistence share. */
export type Persistence = { readonly family: 4 | 6; readonly seconds: number; readonly length: number };

export type Kind = {
  readonly family: 4 | 6;
  readonly choice: Choice;
  readonly transport: Transport;
  /** Counted through, where 0 is that nobody takes anything new; or seats of a hash, without the one for who draws in vain. */
  readonly slots: number;
  /** The number of the service whose turn is counted; 0 where the chain is shared. */
  readonly own: number;
  readonly persistence: Persistence | undefined;
};
/**
 * Services with numbers up to this have a counter of their own, so that their servers take exact turns; those beyond
 * choose by weighted chance. One counter for several would not do: two services that are asked in turn would each get
 * every second slot only.
 */
export const COUNTERS = 512;
/** Numbers of kinds in a table: as many as those of a service's servers, whose place in a mark they take for a moment; from 1. */
export const MAX_KINDS = 0xfff;
/** By a hash, not by counting. */
export const isDrawn = (c: Choice): boolean => c !== 'turn' && c !== 'chance';
/** Elements that a service of this kind has in the set of slots at most. */
export const slotsOf = (k: Kind): number => (isDrawn(k.choice) ? k.slots + 1 : k.slots);

export function persistenceOf(s: WantedService): Persistence | undefined {
  if (s.persistence === undefined) return undefined;
  const family = familyOfMatch(s.match);
  return { family, seconds: s.persistence.seconds, length: s.persistence.granularity ?? (family === 4 ? 32 : 128) };
}

/** `slots`: as many as `fillSlots` gives. */
export function kindOf(s: WantedService, id: number, slots: number, alike: boolean): Kind {
  const chosen = choiceOf(s.scheduler, alike && !s.onePacket);
  // A client that keeps its server is hashed whole: what another director does not remember, it guesses.
  const choice = chosen === 'flow' ? (s.persistence === undefined ? 'source-port' : 'source') : chosen;
  const port = s.flags.some((f) => f === 'sh-port' || f === 'mh-port' || f === 'flag-2'); // IPVS's flag-2 of sh, mh
  const turn = choice === 'count' && id <= COUNTERS && slots > 0;
  return one({
    family: familyOfMatch(s.match),
    choice: choice === 'count' ? (turn ? 'turn' : 'chance') : choice === 'source' && port ? 'source-port' : choice,
    transport: s.onePacket ? 'one-packet' : s.match.by === 'address' && s.match.protocol === 'tcp' ? 'tcp' : 'other',
    slots: choice === 'count' ? slots : slots - 1,
    own: turn ? id : 0,
    persistence: persistenceOf(s),
  });
}

/** Thousands of services have few kinds: each is one object, whose words and name are made once. */
const known = new Map<string, Kind>();
const names = new WeakMap<Kind, string>();
function one(k: Kind): Kind {
  const words = kindWords(k).join();
  const found = known.get(words);
  if (found === undefined) known.set(words, k);
  return found ?? k;
}

/** 3 bits of choice, 2 of transport, 1 of family, 13 of slots, 10 of a service; 24 of seconds, 8 of a prefix length. */
export function kindWords(k: Kind): readonly [number, number] {
  invariant(k.slots < 0x2000 && k.own < 0x400, 'a kind fits into its words');
  const family = k.family === 6 ? 1 : 0;
  const low = CHOICES.indexOf(k.choice) | (TRANSPORTS.indexOf(k.transport) << 3) | (family << 5);
  const p = k.persistence;
  return [(low | (k.slots << 6) | (k.own << 19)) >>> 0, p === undefined ? 0 : ((p.seconds << 8) | p.length) >>> 0];
}
/** Undefined for words that `kindWords` does not make. */
export function kindOfWords(low: number, high: number): Kind | undefined {
  const choice = CHOICES[low & 7];
  const transport = TRANSPORTS[(low >> 3) & 3];
  if (choice === undefined || transport === undefined || low >>> 29 !== 0) return undefined;
  const family = ((low >> 5) & 1) === 1 ? 6 : 4;
  const persistence = high === 0 ? undefined : { family, seconds: high >>> 8, length: high & 0xff };
  return {
    family,
    choice,
    transport,
    slots: (low >>> 6) & 0x1fff,
    own: (low >>> 19) & 0x3ff,
    persistence: persistence as Persistence | undefined,
  };
}
const CHAIN = /^by-.*-([0-9a-f]{8})([0-9a-f]{8})$/;
/** Readable in `nft list`, and unique: `by-source-1021-0000ff4200000000`. */
export function kindChain(k: Kind): string {
  const name = names.get(k);
  if (name !== undefined) return name;
  const [low, high] = kindWords(k);
  const hex = (n: number): string => n.toString(16).padStart(8, '0');
  const made = `by-${k.choice}-${k.slots}-${hex(low)}${hex(high)}`;
  names.set(k, made);
  return made;
}
export function kindOfChain(name: string): Kind | undefined {
  const m = CHAIN.exec(name);
  const kind = m === null ? undefined : kindOfWords(Number.parseInt(m[1] ?? '', 16), Number.parseInt(m[2] ?? '', 16));
  return kind !== undefined && kindChain(kind) === name ? kind : undefined;
}
