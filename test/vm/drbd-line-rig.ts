/** A rig whose line leads over a relay, and what either side does on it. */
import assert from 'node:assert/strict';
import type { Settings } from './drbd-conf.ts';
import { Relay } from './drbd-relay.ts';
import { DrbdRig } from './drbd-rig.ts';
import { type Host, secondary } from './drbd-roles.ts';

/** So much of one byte. */
export type Piece = { readonly byte: number; readonly at: number; readonly kib: number };

export class LineRig {
  readonly rig: DrbdRig;
  readonly relay: Relay;
  private constructor(rig: DrbdRig, relay: Relay) {
    this.rig = rig;
    this.relay = relay;
  }
  /** And both hosts are secondary, connected over the relay, and equal. */
  static async started(both: Settings): Promise<LineRig> {
    const rig = await DrbdRig.start();
    const line = new LineRig(rig, await Relay.start());
    await rig.founded(both, 'relay');
    return line;
  }
  async stop(): Promise<void> {
    this.relay.stop();
    await this.rig.stop();
  }
  async configure(both: Settings): Promise<void> {
    await this.rig.configure(both, {}, 'own', 'relay');
    await this.rig.up();
    await this.rig.settled();
  }
  /** In blocks of 4 KiB, by the host that is primary. Ours writes all at once, and flushes. */
  async write(host: Host, { byte, at, kib }: Piece): Promise<void> {
    if (host === 'kern') return this.rig.kernelWrites(kib, byte, at, true);
    const writes = Array.from({ length: kib / 4 }, (_, i) => `aio_write -P ${byte} ${at + i * 4096} 4k`);
    await this.rig.io(...writes, 'aio_flush', 'flush');
  }
  /** With the primary gone, so that nothing is on its way any more: both disks are equal, and hold those pieces. */
  async bothHold(host: Host, ...pieces: readonly Piece[]): Promise<void> {
    await secondary(this.rig, host);
    const all = await this.rig.equal();
    for (const { byte, at, kib } of pieces)
      assert.equal(
        all.subarray(at, at + kib * 1024).findIndex((b) => b !== byte),
        -1,
      );
  }
  /** What the kernel says from here on. */
  async listen(): Promise<(what: RegExp) => Promise<void>> {
    await this.rig.sh('dmesg -c >/dev/null');
    return (what) => this.rig.until(`the kernel says ${what}`, async () => what.test(await this.rig.sh('dmesg')));
  }
}
