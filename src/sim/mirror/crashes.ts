/**
 * The worlds of run.ts with all their faults, and in the midst of them crash after crash: a process is killed or a machine
 * loses its power while something is under way, and starts again a moment later, often while the other is still finding out.
 */
import type { Outcome } from '../outcome.ts';
import { outcomeOf } from '../outcome.ts';
import { describe } from './config.ts';
import type { SimNode } from './node.ts';
import { MirrorWorld } from './run.ts';

const SECOND = 1_000_000;
/** Times of trouble, each with a dozen crashes or so; what the first copy costs is paid once. */
const TROUBLES = 4;

class CrashWorld extends MirrorWorld {
  override run(): void {
    this.begin();
    for (let i = 0; i < TROUBLES; i++) {
      this.trouble();
      this.settle();
    }
  }
  protected override trouble(): void {
    const { random: r } = this.world;
    this.calm = false;
    const until = this.world.now + r.between(2, 10) * SECOND;
    while (this.world.now < until) {
      if (r.chance(0.6)) this.#crash();
      else this.mishap();
      this.world.runUntil(this.world.now + Math.floor(r.unit() ** 2 * SECOND));
      // A manager that is always there: without a primary nobody has anything to lose.
      if (this.primary === undefined) this.manage();
    }
  }
  #crash(): void {
    const { random: r } = this.world;
    const power = r.chance(0.5);
    const n = r.pick(this.nodes);
    if (!n.atWork(power)) return;
    this.kill(n, power);
    const life = n.lives;
    this.world.at(this.world.now + Math.floor(r.unit() ** 2 * 2 * SECOND), () => this.#boot(n, life));
  }
  #boot(n: SimNode, life: number): void {
    if (!n.alive && n.lives === life) n.boot();
  }
}

export function runCrashes(seed: number): Outcome {
  const w = new CrashWorld(seed);
  return outcomeOf(seed, describe(w.options), w.world, () => w.run());
}
