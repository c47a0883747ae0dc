/**
 * Worlds in which a second volume is added to a mirror and taken out of it, on either host and in the midst of all that happens to
 * the first one, which keeps every promise. One host alone writes to the second; where both have it in peace its disks are equal.
 */
import type { MirrorConfig, MirrorRequest } from '../../mirror/index.ts';
import type { GenerationId } from '../../wire/index.ts';
import { Broken, type Outcome, outcomeOf } from '../outcome.ts';
import { plainOptions } from './config.ts';
import { SimDisk } from './disk.ts';
import type { SimNode } from './node.ts';
import { MirrorWorld } from './run.ts';

const MIB = 1 << 20;
const SECOND = 1_000_000;
const AGAIN = 200_000;
const GENERATION = 0x0fed_cba9_8765_4320n as GenerationId;

const withSecond = (c: MirrorConfig): MirrorConfig => ({
  ...c,
  volumes: [...c.volumes, ...c.volumes.map((v) => ({ ...v, number: 1, minor: 1, device: '/dev/drbd1' }))],
});
const withoutSecond = (c: MirrorConfig): MirrorConfig => ({ ...c, volumes: c.volumes.filter((v) => v.number === 0) });
const has = (n: SimNode): boolean => n.config.volumes.length > 1;

export class VolumesWorld extends MirrorWorld {
  #written = 0;

  constructor(seed: number) {
    super(seed, {
      ...plainOptions(seed),
      protocol: (['A', 'B', 'C'] as const)[seed % 3] as 'A',
      checksums: seed % 2 > 0,
    });
    for (const n of this.nodes) {
      n.more.set(1, new SimDisk(this.world, 2 * MIB));
      n.format(67, GENERATION, 1);
    }
  }
  protected override begin(): void {
    super.begin();
    this.#write();
  }
  /** The second volume of the other host is never primary: so nobody's policy has to say whose data are lost. */
  protected override role(n: SimNode): MirrorRequest {
    return n.index === 0 ? super.role(n) : { verb: 'primary', force: false, only: [0] };
  }
  /** These ask for every volume. */
  protected override invalidate(): void {}
  protected override works(): void {
    for (const n of this.nodes) this.#takeIn(n);
    this.runUntil('peace of the second volume', () => this.nodes.every((n) => this.#equal(n)), 120);
  }
  #equal(n: SimNode): boolean {
    const v = n.resource?.volumes[1];
    return v?.connection === 'Connected' && v.disk === 'UpToDate' && v.peerDisk === 'UpToDate' && v.bits === 0;
  }
  #takeIn(n: SimNode): void {
    if (has(n)) return;
    n.adjust(withSecond(n.config), (a) => {
      if (a.ok) this.world.count('volumes added', 1);
      else if (a.code === 'in-transient') this.world.at(this.world.now + AGAIN, () => this.#takeIn(n));
      else throw new Broken('a volume can be added in peace', a.text.en);
    });
  }
  protected override mishap(): void {
    const { random: r } = this.world;
    if (r.chance(0.7)) {
      super.mishap();
      return;
    }
    const n = r.pick(this.nodes);
    if (!n.alive) return;
    if (r.chance(0.3) && n.resource?.primary) n.ask(this.role(n), () => {});
    else if (has(n)) {
      const before = n.resource?.volumes[1]?.backing;
      n.adjust(withoutSecond(n.config), (a) => {
        if (a.ok) this.world.count('volumes taken out', 1);
        else if (before !== undefined && n.resource?.volumes[1]?.backing === undefined)
          throw new Broken('a volume goes or stays as it was', a.text.en);
      });
    } else
      n.adjust(withSecond(n.config), (a) => {
        if (a.ok) this.world.count('volumes added', 1);
      });
  }
  #write(): void {
    const { random: r } = this.world;
    this.world.at(this.world.now + r.between(1000, SECOND / 2), () => this.#write());
    const [n] = this.nodes;
    if (!this.program.writing || n.resource?.volumes[1]?.primary !== true) return;
    const bytes = new Uint8Array(4096).fill(1 + (this.#written++ % 255));
    n.app({ op: 'write', offset: r.between(0, 300) * 4096, bytes, through: false }, () => {}, 1);
  }
  protected override compare(): void {
    super.compare();
    const size = Math.min(...this.nodes.map((n) => (n.resource?.volumes[1]?.size ?? 0) * 512));
    for (let at = 0; at < size; at += 4096) {
      const [x, y] = this.nodes.map((n) => n.diskOf(1).look(at, Math.min(4096, size - at)));
      if (x === undefined || y === undefined || Buffer.compare(x, y) !== 0)
        throw new Broken('no undetected divergence', `volume 1 at ${at}`);
    }
  }
}

export function runVolumes(seed: number): Outcome {
  const w = new VolumesWorld(seed);
  const { bytes, places, protocol } = w.options;
  const about = `volumes that come and go, protocol ${protocol}, ${bytes / MIB} MiB, ${places} places`;
  return outcomeOf(seed, about, w.world, () => w.run());
}
