/**
 * read-balancing: whether a read for which both disks are good goes to the peer. Only in protocol C: what is written is on
 * the peer's disk when it is answered, so whoever reads after that sees it there. Reads that the peer refuses, or that are
 * lost with it, are read here.
 */
import type { DiskOptions } from '../../config.ts';
import type { Parts } from '../parts.ts';
import type { Volume } from '../volume.ts';

/** Requests at a disk from which on it counts as congested: seven eighths of the 128 that a queue of the kernel's has. */
const CONGESTED = 112;

export type ReadLoad = {
  /** Requests at the own disk, and at the peer. */
  readonly local: number;
  readonly remote: number;
  /** Whether the last read went to the peer. */
  readonly lastRemote: boolean;
};
/** Pure; `load` is asked for only where the policy looks at it. */
export function readsFromPeer(policy: DiskOptions['readBalancing'], load: () => ReadLoad): boolean {
  switch (policy) {
    case 'prefer-local':
      return false;
    case 'prefer-remote':
      return true;
    case 'round-robin':
      return !load().lastRemote;
    case 'least-pending': {
      const { local, remote } = load();
      return local > remote;
    }
    case 'when-congested-remote':
      return load().local >= CONGESTED;
    default:
      policy satisfies never;
      return false;
  }
}

type Reading = { local: number; remote: number; lastRemote: boolean };
export class ReadBalancing {
  readonly #p: Parts;
  readonly #reading = new Map<Volume, Reading>();

  constructor(p: Parts) {
    this.#p = p;
  }
  #of(v: Volume): Reading {
    const known = this.#reading.get(v);
    if (known !== undefined) return known;
    const fresh = { local: 0, remote: 0, lastRemote: false };
    this.#reading.set(v, fresh);
    return fresh;
  }
  /** Of a read for which the own disk is good. */
  toPeer(v: Volume): boolean {
    const policy = v.config.options.readBalancing;
    if (policy === 'prefer-local') return false;
    const { config, link, sender } = this.#p;
    const equal = v.disk === 'UpToDate' && v.peerDisk === 'UpToDate' && v.connection === 'Connected';
    if (!equal || !link.established || config.net.protocol !== 'C') return false;
    const reading = this.#of(v);
    const remote = readsFromPeer(policy, () => ({
      local: reading.local + v.counters.lo,
      remote: reading.remote + sender.pending(v),
      lastRemote: reading.lastRemote,
    }));
    reading.lastRemote = remote;
    return remote;
  }
  begun(v: Volume, where: 'local' | 'remote'): void {
    this.#of(v)[where]++;
  }
  ended(v: Volume, where: 'local' | 'remote'): void {
    this.#of(v)[where]--;
  }
}
