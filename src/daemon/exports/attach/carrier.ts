/** What makes a device of a connection, in one of two ways. */
import type { Text } from '../../../base/index.ts';

export type CarrierEvents = {
  device(path: string): void;
  serverThere(): void;
  serverAway(why: Text): void;
  failed(why: Text): void;
};
export interface Carrier {
  start(): void;
  /** The device stays without this process. */
  readonly leavable: boolean;
  /** Takes the device away; then `done`. */
  release(done: () => void): void;
}
