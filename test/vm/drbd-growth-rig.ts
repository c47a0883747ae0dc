/** A mirror whose disks end where a case says: the kernel's by device mapper, ours by the length of its file. */
import { readFileSync, truncateSync } from 'node:fs';
import { dm, LOW, onKernelDisk } from './drbd-mapper.ts';
import { DrbdRig, MIB, sha256 } from './drbd-rig.ts';
import { HOSTS, type Host } from './drbd-roles.ts';

export const LOWER = { kern: { lower: LOW } };
export const RESIZE = {
  verb: 'resize',
  volume: 0,
  size: undefined,
  assumeClean: false,
  assumePeerHasSpace: false,
} as const;
export type How = '' | '--assume-clean' | '--assume-peer-has-space';

export class Growth {
  readonly rig: DrbdRig;
  /** Of each disk, its metadata included. */
  readonly mib: Record<Host, number>;

  private constructor(rig: DrbdRig, mib: number) {
    this.rig = rig;
    this.mib = { ours: mib, kern: mib };
  }
  /** Both are secondary, connected and equal. */
  static async start(mib: number): Promise<Growth> {
    const rig = await DrbdRig.start();
    await rig.sh(dm('create low', mib * MIB));
    await rig.configure({}, LOWER);
    await rig.create({ ours: 0x51, kern: 0x52 }, mib * MIB);
    await rig.up();
    await rig.connected();
    await rig.order({ verb: 'primary', force: true });
    await rig.settled();
    await rig.order({ verb: 'secondary' });
    return new Growth(rig, mib);
  }
  /** That disk has a MiB more, or ends where it is told. */
  async disk(host: Host, is = this.mib[host] + 1): Promise<void> {
    this.mib[host] = is;
    if (host === 'ours') truncateSync(this.rig.image('ours'), is * MIB);
    else await onKernelDisk(this.rig, dm('load low', is * MIB));
  }
  async disks(): Promise<void> {
    for (const host of HOSTS) await this.disk(host);
  }
  async resize(host: Host, how: How = ''): Promise<void> {
    if (host === 'kern') await this.rig.sh(`drbdsetup-84 resize 0 ${how}`);
    else {
      const assumed = {
        assumeClean: how === '--assume-clean',
        assumePeerHasSpace: how === '--assume-peer-has-space',
      };
      await this.rig.order({ ...RESIZE, ...assumed });
    }
  }
  /** What a side that is there offers, in bytes. */
  async sizeOf(host: Host): Promise<number> {
    if (host === 'ours') return (await this.rig.volume()).size;
    return Number((await this.rig.sh('cat /sys/block/drbd0/size')).trim()) * 512;
  }
  async sizes(): Promise<number[]> {
    return [await this.sizeOf('ours'), await this.sizeOf('kern')];
  }
  async grownBeyond(bytes: number): Promise<number> {
    await this.rig.until('both have grown', async () => (await this.sizes()).every((n) => n > bytes));
    return this.sizeOf('ours');
  }
  /** Of a primary. */
  async write(host: Host, byte: number, at: number, kib = 64): Promise<void> {
    if (host === 'ours') await this.rig.io(`write -P ${byte} ${at} ${kib}k`, 'flush');
    else await this.rig.kernelWrites(kib, byte, at, true);
  }
  /** Of what both have on their disks up to there. */
  hashes(bytes: number): string[] {
    return HOSTS.map((h) => sha256(readFileSync(this.rig.image(h)).subarray(0, bytes)));
  }
  async connect(host: Host): Promise<void> {
    if (host === 'ours') await this.rig.order({ verb: 'connect', discardMyData: false });
    else await this.rig.adm('connect', 'r0');
  }
}
