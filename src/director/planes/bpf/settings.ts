/** What holds for all services: the programs' settings, and the other directors. */
import { ok, type Result } from '../../../base/index.ts';
import type { HostError } from '../../../host/index.ts';
import { MARK_TAG } from '../marks.ts';
import { u32 } from './layout.ts';
import type { Maps } from './maps.ts';

const FLAG = { ranges: 1, directors: 2 } as const;

/** The key of `directors`: six bytes of link address, two of nothing. */
function directorKey(mac: string): Uint8Array {
  const key = new Uint8Array(8);
  key.set(mac.split(':').map((h) => Number.parseInt(h, 16)));
  return key;
}
const textOf = (b: Uint8Array): string => Buffer.from(b).toString('hex');

/** The map holds these link addresses and no others: also none of an earlier process. */
export function setDirectors(maps: Maps, macs: readonly string[]): Result<void, HostError> {
  const map = maps.map('directors');
  const wanted = new Map(macs.map((m) => [textOf(directorKey(m)), directorKey(m)]));
  const gone: Uint8Array[] = [];
  const read = map.each((k) => {
    if (!wanted.delete(textOf(k))) gone.push(k.slice());
  });
  if (!read.ok) return read;
  for (const k of gone) map.remove(k);
  for (const k of wanted.values()) {
    const done = map.set(k, new Uint8Array(4));
    if (!done.ok) return done;
  }
  return ok(undefined);
}

export function writeSettings(
  maps: Maps,
  o: { readonly ranges: boolean; readonly directors: boolean; readonly lastSerial: number },
): void {
  const value = new Uint8Array(12);
  const v = new DataView(value.buffer);
  v.setUint32(0, (o.ranges ? FLAG.ranges : 0) | (o.directors ? FLAG.directors : 0), true);
  v.setUint32(4, MARK_TAG, true); // what the guard lets through to this host's stack
  v.setUint32(8, o.lastSerial, true);
  maps.map('config').set(u32(0), value);
}
