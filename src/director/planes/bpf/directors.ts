/**
 * Services of which this host is a real server itself: their other servers may be directors too, and what those send here is
 * for the server on this host. Were it balanced again, a packet on whose server the two do not agree would circle. They are
 * known by link address; by service, since a server of one is a client of another. A server never asks its own service from
 * outside: the virtual address is on its `lo`.
 */
import type { BpfMap } from '../../../host/index.ts';
import type { ServerRow, ServiceTable } from './tables.ts';

/** As native/bpf/decide.h has it: six bytes of link address, two of nothing, the service's number. */
const KEY_BYTES = 12;
/** As many as the map takes. */
const MOST = 1024;
const VALUE = new Uint8Array(4);
const isHere = (r: ServerRow): boolean => r.way.send === 'here';

/** The servers whose link addresses are to be known. */
export const fellows = (t: ServiceTable): readonly ServerRow[] =>
  t.servers.some(isHere) ? t.servers.filter((r) => !isHere(r)) : [];

export function directorKey(mac: Uint8Array, service: number): Uint8Array {
  const key = new Uint8Array(KEY_BYTES);
  key.set(mac);
  new DataView(key.buffer).setUint32(8, service, true);
  return key;
}
const textOf = (b: Uint8Array): string => Buffer.from(b).toString('hex');

export class Directors {
  /** What the map holds; undefined: that was not read yet. */
  #held: string | undefined;
  #any = false;

  get any(): boolean {
    return this.#any;
  }
  /** The map holds these and no others: also none of an earlier process. True where that has changed something. */
  set(map: BpfMap, keys: readonly Uint8Array[]): boolean {
    const wanted = new Map(keys.slice(0, MOST).map((k) => [textOf(k), k]));
    const all = [...wanted.keys()].sort().join();
    if (all === this.#held) return false;
    const gone: Uint8Array[] = [];
    const read = map.each((k) => {
      if (!wanted.delete(textOf(k))) gone.push(k.slice());
    });
    if (!read.ok) return false;
    for (const k of gone) map.remove(k);
    let written = true;
    for (const k of wanted.values()) written &&= map.set(k, VALUE).ok;
    this.#held = written ? all : undefined;
    this.#any = all !== '';
    return true;
  }
}
