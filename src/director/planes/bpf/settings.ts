/** What holds for all services: the programs' settings. */
import { MARK_TAG } from '../marks.ts';
import { u32 } from './layout.ts';
import type { Maps } from './maps.ts';

const FLAG = { ranges: 1, directors: 2 } as const;

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
