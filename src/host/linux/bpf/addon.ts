import type { Result } from '../../../base/index.ts';
import type { HostError } from '../../index.ts';
import { loadNative } from '../native.ts';

declare const handle: unique symbol;
/** A map, program or link of the addon; closed by garbage collection where nobody holds it any more. */
export type BpfHandle = { readonly [handle]: 'map' | 'program' | 'link' };
export const KIND = { map: 1, program: 2, link: 4 } as const;

/**
 * native/bpf.c. Where a function returns a number and the kernel may refuse, negative is the negative errno. Misuse
 * throws an error with a code: ERR_MISSING_ARGS, ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_HANDLE_CLOSED. Buffers of
 * keys and values must have exactly the bytes that their map says.
 */
export interface BpfAddon {
  close(h: BpfHandle): void;
  /** Of a map, for instructions. */
  descriptor(h: BpfHandle): number;
  pin(h: BpfHandle, path: string): number;
  /** -EINVAL where something of another kind is pinned there. */
  open(path: string, kind: number): BpfHandle | number;
  /** Fills `room` with struct bpf_map_info, bpf_prog_info or bpf_link_info and returns how much of it the kernel knew. */
  info(h: BpfHandle, room: Uint8Array): number;
  createMap(
    type: number,
    keyBytes: number,
    valueBytes: number,
    entries: number,
    flags: number,
    name: string,
  ): BpfHandle | number;
  lookup(map: BpfHandle, key: Uint8Array, room: Uint8Array): number;
  update(map: BpfHandle, key: Uint8Array, value: Uint8Array, flags: number): number;
  remove(map: BpfHandle, key: Uint8Array): number;
  nextKey(map: BpfHandle, key: Uint8Array | undefined, room: Uint8Array): number;
  updateBatch(map: BpfHandle, keys: Uint8Array, values: Uint8Array, count: number): number;
  /** Twice the number of entries, plus one at the end. `cursor`: key bytes and four more, carried from call to call; `first` is 1 to begin. */
  readBatch(
    map: BpfHandle,
    cursor: Uint8Array,
    keys: Uint8Array,
    values: Uint8Array,
    count: number,
    first: number,
  ): number;
  loadProgram(
    type: number,
    attachType: number,
    name: string,
    instructions: Uint8Array,
    license: string,
    log: Uint8Array,
  ): BpfHandle | number;
  createLink(program: BpfHandle, ifindex: number, attachType: number, flags: number): BpfHandle | number;
  updateLink(link: BpfHandle, program: BpfHandle): number;
  programDescriptor(program: BpfHandle): number;
  /** `result` gets four u32: return value, bytes in `room`, nanoseconds of one run, 0. */
  testRun(
    program: BpfHandle,
    packet: Uint8Array,
    room: Uint8Array,
    repeat: number,
    flags: number,
    context: Uint8Array,
    result: Uint8Array,
  ): number;
  mountBpf(path: string): number;
  possibleProcessors(): number;
}

export const loadBpfAddon = (): Result<BpfAddon, HostError> => loadNative<BpfAddon>('bpf');
