/** The program that uses a simulated mirror: clients, each of which writes, flushes and reads, one thing after the other. */
import { Broken } from '../outcome.ts';
import type { World } from '../world.ts';
import type { Ledger } from './ledger.ts';
import type { SimNode } from './node.ts';

export type ProgramSurroundings = {
  readonly world: World;
  readonly ledger: Ledger;
  /** Byte offsets that it writes to. */
  readonly places: readonly number[];
  /** Nothing goes wrong: it takes its time. */
  readonly calm: () => boolean;
  /** Where it is. */
  readonly writer: () => SimNode | undefined;
  /** A write that was stable when it was answered is there wherever the role moves to. */
  readonly throughCounts: () => boolean;
  /** A write or a flush, with success. */
  readonly answered: (n: SimNode) => void;
  /** A write, with success. */
  readonly acknowledged: (n: SimNode) => void;
};

export class Program {
  readonly #o: ProgramSurroundings;
  #writing = true;
  #stamp = 0;
  #clients = 0;
  #before = 0;

  constructor(o: ProgramSurroundings) {
    this.#o = o;
  }
  get writing(): boolean {
    return this.#writing;
  }
  /** Nobody begins anything more. */
  pause(): void {
    this.#before = this.#clients;
    this.#writing = false;
  }
  /** As many clients as before the pause, at least one. */
  resume(): void {
    this.#writing = true;
    this.#clients = 0;
    for (let i = 0; i < Math.max(1, this.#before); i++) this.start();
  }
  /** One client: writes, flushes and reads, one after the other. */
  start(): void {
    const { random: r } = this.#o.world;
    this.#clients++;
    const next = (): void => {
      const wait = this.#o.calm() ? r.between(5_000, 80_000) : r.between(0, r.chance(0.3) ? 200_000 : 20_000);
      this.#o.world.at(this.#o.world.now + wait, () => this.#act(next));
    };
    next();
  }
  #act(next: () => void): void {
    if (!this.#writing) {
      this.#clients--;
      return;
    }
    const { random: r } = this.#o.world;
    const n = this.#o.writer();
    if (n === undefined) {
      this.#o.world.at(this.#o.world.now + 100_000, () => this.#act(next));
      return;
    }
    const kind = r.between(0, 19);
    const life = n.resource;
    if (kind === 0) {
      const done = this.#o.ledger.flushing(n.name);
      n.app({ op: 'flush' }, (result) => {
        if (result === 0) {
          done();
          this.#o.answered(n);
        }
        next();
      });
    } else if (kind < 5) this.#read(n, next);
    else {
      const at = r.pick(this.#o.places) + (r.chance(0.3) ? r.between(0, 7) * 512 : 0);
      const length = r.chance(0.3) ? 512 : r.between(1, r.chance(0.05) ? 64 : 4) * 4096;
      const fits = Math.min(length, 2 * 4096 * 8);
      const stamp = ++this.#stamp;
      const through = kind === 5;
      const bytes = new Uint8Array(fits);
      const view = new DataView(bytes.buffer);
      for (let s = 0; s < fits; s += 512) view.setUint32(s, stamp);
      const done = this.#o.ledger.writing(at, fits, stamp, through && this.#o.throughCounts(), n.name);
      n.app({ op: 'write', offset: at, bytes, through }, (result) => {
        if (result === 0) {
          done();
          this.#o.answered(n);
          this.#o.acknowledged(n);
        }
        next();
      });
    }
    // A request that a dead process took with it is not answered.
    const watch = (): void => {
      this.#o.world.at(this.#o.world.now + 200_000, () => {
        if (n.resource === life) watch();
        else next();
      });
    };
    if (life !== n.resource) watch();
  }
  #read(n: SimNode, next: () => void): void {
    const at = this.#o.world.random.pick(this.#o.places);
    const into = new Uint8Array(4096);
    const reading = this.#o.ledger.reading(at, 4096);
    n.app({ op: 'read', offset: at, into }, (result) => {
      this.#o.ledger.answered(reading);
      if (result === 0) {
        const wrong = this.#o.ledger.read(at, into, reading);
        if (wrong !== undefined) throw new Broken('P2: what was acknowledged is read', `${n.name}: ${wrong}`);
      }
      next();
    });
  }
}
