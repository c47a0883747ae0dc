/** Captures of two real DRBD 8.4 kernels (one of a kernel and a small user-space peer): test/golden/drbd. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import {
  type Capture,
  DrbdConversation,
  type DrbdSight,
  decodePcap,
  dissect,
  drbdProtocol,
} from '../../src/wire/index.ts';

const folder = resolve(import.meta.dirname, '../golden/drbd');
/** `05-disconnect-reconnect-bitmap-resync`, in order. */
export const drbdCaptures: readonly string[] = readdirSync(folder)
  .filter((f) => f.endsWith('.pcap.gz'))
  .map((f) => f.slice(0, -'.pcap.gz'.length))
  .sort();

export function readDrbdCapture(name: string): Capture {
  const got = decodePcap(gunzipSync(readFileSync(join(folder, `${name}.pcap.gz`))));
  if (!got.ok) throw new Error(`${name}: ${got.error.kind}`);
  return got.value;
}

/** Every packet of a capture in the order in which it was complete, apart by connection. */
export function drbdSights(name: string): (DrbdSight & { readonly conversation: number })[] {
  const seen: (DrbdSight & { readonly conversation: number })[] = [];
  let opened = 0;
  const open = (): DrbdConversation => {
    const conversation = opened++;
    return new DrbdConversation((s) => seen.push({ ...s, conversation }));
  };
  dissect(readDrbdCapture(name), [{ ...drbdProtocol, open }]);
  return seen;
}
/** The decoded listings that came with the captures, which are not ours to copy. */
export const listings = join(
  process.env['HOLDFAST_CORPUS'] ?? resolve(import.meta.dirname, '../../../shared/corpus'),
  'drbd',
);
