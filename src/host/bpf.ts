/** BPF: maps, programs and where they are attached, without the numbers of bpf(2). Everything answers at once. */
import type { Result } from '../base/index.ts';
import type { HostError } from './ports.ts';

export type BpfMapType = 'hash' | 'array' | 'percpu-array' | 'lru-hash' | 'lpm-trie';
export type BpfMapShape = {
  readonly type: BpfMapType;
  readonly keyBytes: number;
  /** Of one processor. */
  readonly valueBytes: number;
  readonly entries: number;
};

export interface BpfMap {
  readonly shape: BpfMapShape;
  /** Of one entry as it is read: of a per-CPU map, `valueBytes` rounded up to 8 for each processor. */
  readonly storedBytes: number;
  /** Undefined where there is none. The bytes are valid until the next call. */
  get(key: Uint8Array): Uint8Array | undefined;
  set(key: Uint8Array, value: Uint8Array): Result<void, HostError>;
  /** `n` keys and values end to end, in few system calls. What came before a failure is written. */
  setMany(keys: Uint8Array, values: Uint8Array, n: number): Result<void, HostError>;
  /** Removing what is absent counts as done. */
  remove(key: Uint8Array): Result<void, HostError>;
  /** Every entry, at most `most` of an array; the bytes are valid during the callback. An entry may be missed or told twice while others write. */
  each(take: (key: Uint8Array, value: Uint8Array) => void, most?: number): Result<void, HostError>;
  /** The same of a hash map in pieces of at most a megabyte: each call reads one and says whether it was the last. */
  pieces(take: (key: Uint8Array, value: Uint8Array) => void): () => Result<boolean, HostError>;
  pin(path: string): Result<void, HostError>;
  close(): void;
}

export type BpfRun = {
  /** TC_ACT_* or XDP_*. */
  readonly verdict: number;
  /** The packet as the program left it. */
  readonly packet: Uint8Array;
  /** Of one run, measured by the kernel. */
  readonly nanoseconds: number;
};
export interface BpfProgram {
  readonly name: string;
  /** On a made-up packet; `ifindex` is the device that it seems to come in by. */
  run(
    packet: Uint8Array,
    o?: {
      readonly repeat?: number;
      readonly ifindex?: number;
      /** XDP: the frames go on into the real stack, as the program says. */
      readonly live?: boolean;
    },
  ): Result<BpfRun, HostError>;
  close(): void;
}

/** A program on a device. Pinned, it stays when the process ends; closed and not pinned, it is detached. */
export interface BpfLink {
  /** Packets meet the old program or the new one, never none. */
  replace(program: BpfProgram): Result<void, HostError>;
  /** Nothing where this kind of attachment stays by itself (a filter). */
  pin(path: string): Result<void, HostError>;
  /** Takes the program off the device, pinned or not. */
  detach(): Result<void, HostError>;
  close(): void;
}

export type BpfAttachment = 'tc' | 'xdp-native' | 'xdp-generic';

export type BpfObject = {
  readonly programs: ReadonlyMap<string, BpfProgram>;
  readonly maps: ReadonlyMap<string, BpfMap>;
  close(): void;
};

/** In the network namespace of the calling thread. */
export interface Bpf {
  /** Undefined: this kernel has it and grants it; else what is missing. */
  missing(): HostError | undefined;
  /**
   * Loads the programs of `native/bpf/NAME.c` with their maps: those of `use` are taken as they are (made by an earlier
   * load, or adopted), the others made anew, with `entries` where it names them.
   */
  load(
    name: string,
    o: {
      readonly programs: readonly string[];
      readonly use?: ReadonlyMap<string, BpfMap>;
      readonly entries?: Readonly<Record<string, number>>;
    },
  ): Result<BpfObject, HostError>;
  /** What the object of `native/bpf/NAME.c` was made from: differs where the source differs. */
  fingerprint(name: string): Result<string, HostError>;
  attach(program: BpfProgram, ifindex: number, where: BpfAttachment): Result<BpfLink, HostError>;
  /** An attachment of this program that an earlier process left: pinned at `path`, or a filter of ours on the device. Undefined where there is none. */
  adopt(path: string, ifindex: number, where: BpfAttachment, program: string): BpfLink | undefined;
  /** A map that is pinned at `path`. */
  openMap(path: string): Result<BpfMap, HostError>;
  /** Makes the folder, with a BPF file system in it where it has none. */
  mount(folder: string): Result<void, HostError>;
  unpin(path: string): Result<void, HostError>;
}
