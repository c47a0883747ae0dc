/**
 * One world of a mirror: two hosts, their disks and the line between them; a program that writes to whoever is primary; an
 * operator who moves the role as a careful cluster manager would; crashes, power cuts, partitions, pauses. Then all is
 * healed and must settle, with both disks equal. The promises are checked after every event.
 */
import { bytes } from '../../base/index.ts';
import type { MirrorConfig, MirrorRequest } from '../../mirror/index.ts';
import type { GenerationId } from '../../wire/index.ts';
import { Broken, type Outcome, outcomeOf } from '../outcome.ts';
import { World } from '../world.ts';
import { compareDisks } from './comparing.ts';
import { describe, drawnOptions, type MirrorWorldOptions, simConfig } from './config.ts';
import { growAndUse } from './growing.ts';
import { Ledger } from './ledger.ts';
import type { Wire } from './line.ts';
import { MeetingPoint } from './meeting-point.ts';
import { type Rendezvous, SimNode } from './node.ts';
import { Program } from './program.ts';
import { plantAndVerify } from './verifying.ts';

const SECOND = 1_000_000;
const MIB = 1 << 20;
/** By what name worlds count them. */
const CRASH_ROUNDS = 'crash rounds';

export class MirrorWorld {
  readonly world: World;
  readonly options: MirrorWorldOptions;
  readonly nodes: readonly [SimNode, SimNode];
  readonly ledger: Ledger;
  protected readonly wire: Wire & { waiting: (() => void)[] };
  protected readonly places: number[] = [];
  protected calm = false;
  protected readonly program: Program;
  /** A write that was stable when it was answered is there wherever the role moves to. */
  protected readonly throughCounts: boolean = true;

  constructor(seed: number, options?: MirrorWorldOptions) {
    this.world = new World(seed);
    const { random: r } = this.world;
    // Drawn in any case: seeds that were found keep their worlds.
    const large = r.chance(0.03);
    this.options = options ?? drawnOptions(r, large);
    this.wire = {
      cut: false,
      waiting: [],
      latency: () => r.between(30, r.chance(0.05) ? 20_000 : 400),
      disturbs: () => this.options.integrity && !this.calm && r.chance(0.01),
      whenWhole: (run) => this.wire.waiting.push(run),
    };
    const meet = this.rendezvous();
    const settings = this.options.settings ?? ((c: MirrorConfig) => c);
    const configs = ([0, 1] as const).map((i) => settings(simConfig(i, this.options)));
    const node = (i: 0 | 1): SimNode =>
      new SimNode(i, this.world, meet, configs[i] as MirrorConfig, this.options.bytes);
    this.nodes = [node(0), node(1)];
    this.ledger = new Ledger(this.options.protocol, configs[0]?.net.allowTwoPrimaries ?? false);
    // A large disk, for the sake of an activity log that runs full, is not copied first.
    const generation = this.options.fresh ? undefined : (0x1234_5678_9abc_def0n as GenerationId);
    for (const n of this.nodes) n.format(this.options.alExtents, generation);
    this.world.afterEvent = () => this.promises();
    this.program = new Program({
      world: this.world,
      ledger: this.ledger,
      places: this.places,
      calm: () => this.calm,
      writer: () => this.writer(),
      throughCounts: () => this.throughCounts,
      answered: (n) => this.#hasGoodData(n, 'answers'),
      acknowledged: (n) => this.acknowledged(n),
    });
    // Up to the metadata, which takes a little more than a 32768th.
    const usable = Math.floor((this.options.bytes * 0.98) / 4096) - 40;
    for (let i = 0; i < this.options.places; i++) this.places.push(r.between(0, usable - 16) * 4096);
  }

  protected begin(): void {
    for (const n of this.nodes) n.boot();
    this.first();
  }
  run(): void {
    this.begin();
    for (let round = 0; round < this.options.rounds; round++) {
      this.trouble();
      this.settle();
    }
  }

  /**
   * One fixed story (promotion, writes, the line cut and whole again, resync), in which the power of a host is cut at the
   * write of that number, before it reaches the disk. False: there are not so many writes.
   */
  runCut(who: 0 | 1, write: number): boolean {
    const victim = this.nodes[who];
    let cut = false;
    victim.disk.onWrite = () => {
      if (victim.disk.writes !== write) return;
      cut = true;
      this.kill(victim, true);
      this.world.at(this.world.now + 300_000, () => {
        if (!victim.alive) victim.boot();
      });
    };
    for (const n of this.nodes) {
      this.good.add(n.index);
      n.boot();
    }
    for (let i = 0; i < 3; i++) this.program.start();
    for (let step = 0; step < 50; step++) {
      if (step === 15) this.cutLine(true);
      if (step === 30) this.cutLine(false);
      // The two meet first.
      for (const n of this.nodes) if (step > 4 && this.primary === undefined) this.promote(n);
      this.world.runUntil(this.world.now + 100_000);
    }
    if (cut) this.settle();
    return cut;
  }

  // ------------------------------------------------------------------------------------------ the line

  protected rendezvous(): Rendezvous {
    return new MeetingPoint(this.world, this.wire, () => this.nodes);
  }
  cutLine(cut: boolean): void {
    if (this.wire.cut === cut) return;
    this.world.note('line', cut ? 'cut' : 'whole');
    this.wire.cut = cut;
    if (cut) return;
    const waiting = this.wire.waiting;
    this.wire.waiting = [];
    for (const w of waiting) this.world.at(this.world.now + 1, w);
  }

  // ------------------------------------------------------------------------------------------ the program

  get primary(): SimNode | undefined {
    return this.nodes.find((n) => n.resource?.primary);
  }
  /** Where the program is. */
  protected writer(): SimNode | undefined {
    return this.primary;
  }
  /** Whose data has all that was acknowledged. */
  readonly good = new Set<number>();
  protected acknowledged(n: SimNode): void {
    const v = n.resource?.volumes[0];
    if (v === undefined) return;
    if (!(v.connected && v.peerDisk === 'UpToDate' && v.connection === 'Connected')) {
      this.good.clear();
      this.good.add(n.index);
    }
  }

  // ------------------------------------------------------------------------------------------ the operator

  /** Fresh disks: one side is forced, the other is filled. */
  protected first(): void {
    this.runUntil('the first connection', () => this.nodes.every((n) => n.resource?.connection === 'Connected'), 30);
    const n = this.world.random.pick(this.nodes);
    n.ask({ verb: 'primary', force: true }, (a) => {
      if (!a.ok) throw new Broken('a first promotion is possible', a.text.en);
      this.good.add(n.index);
    });
    this.runUntil('the first promotion', () => n.resource?.primary === true, 10);
    for (let i = this.world.random.between(1, 6); i > 0; i--) this.program.start();
    if (this.world.random.chance(0.7)) this.runUntil('the initial sync', () => this.#peaceful(), 120);
  }
  equalStates(): boolean {
    return this.nodes.every((n) => {
      const v = n.resource?.volumes[0];
      return v?.connection === 'Connected' && v.disk === 'UpToDate' && v.peerDisk === 'UpToDate' && v.bits === 0;
    });
  }
  /** Who pulled ahead comes back by itself; who disconnected for congestion when it is told to. */
  #peaceful(): boolean {
    if (this.options.protocol === 'A' && this.options.onCongestion === 'disconnect')
      for (const n of this.nodes)
        if (n.resource?.connection === 'StandAlone') n.ask({ verb: 'connect', discardMyData: false }, () => {});
    return this.equalStates();
  }
  runUntil(what: string, wanted: () => boolean, limit: number): void {
    const end = this.world.now + limit * SECOND;
    while (!wanted()) {
      if (this.world.now > end) throw new Broken('things settle', `${what} does not come: ${this.#words()}`);
      this.world.runUntil(this.world.now + 50_000);
    }
  }
  #words(): string {
    return this.nodes
      .map((n) => {
        const v = n.resource?.volumes[0];
        return v === undefined
          ? `${n.name} is off`
          : `${n.name} ${v.connection} ${v.role}/${v.peerRole} ${v.disk}/${v.peerDisk} bits ${v.bits}${v.held ? ' held' : ''}`;
      })
      .join('; ');
  }
  protected trouble(): void {
    const { random: r } = this.world;
    this.calm = false;
    const until = this.world.now + r.between(1, 8) * SECOND;
    while (this.world.now < until) {
      this.mishap();
      this.world.runUntil(this.world.now + Math.floor(r.unit() ** 3 * 4 * SECOND));
    }
  }
  protected mishap(): void {
    const { random: r } = this.world;
    const n = r.pick(this.nodes);
    switch (r.between(0, 15)) {
      case 0:
      case 1:
        this.cutLine(true);
        return;
      case 2:
      case 3:
      case 4:
        this.cutLine(false);
        return;
      case 5:
        this.kill(n, false);
        return;
      case 6:
        this.kill(n, true);
        return;
      case 7:
      case 8:
        for (const one of this.nodes) if (!one.alive) one.boot();
        return;
      case 9:
        n.pause(r.between(10_000, 1_500_000));
        return;
      case 10:
        this.manage();
        return;
      case 11:
        if (!n.alive) return;
        if (r.chance(0.5)) n.ask({ verb: 'disconnect', force: false }, () => {});
        else n.ask({ verb: 'connect', discardMyData: false }, () => {});
        return;
      case 12:
        this.verify(n);
        return;
      case 13:
        this.invalidate(n);
        return;
      case 14:
        n.ask({ verb: r.chance(0.5) ? 'pause-sync' : 'resume-sync', volume: undefined }, () => {});
        return;
      case 15:
        // Longer than ko-count times timeout: a peer that does not answer is dropped.
        n.disk.stall(r.between(100_000, 4 * SECOND));
    }
  }
  /** Nothing is altered beneath anybody: whatever it marks stays marked, and there is no peace. */
  protected verify(n: SimNode): void {
    n.ask({ verb: 'verify', volume: undefined, start: undefined, stop: bytes(4 * MIB) }, () => {});
  }
  /**
   * Crash rounds that are not over: a process was killed or a machine lost its power while something was under way; it
   * starts again, and the round counts when both disks were compared afterwards.
   */
  #crashes = 0;
  /** Who was primary when its process died, and may have in its cache what no disk has. */
  readonly #cached = new Set<SimNode>();
  protected kill(n: SimNode, power: boolean): void {
    if (!n.alive) return;
    const v = n.resource?.volumes[0];
    // A process that attaches flushes what the one before it left in the cache.
    if (v?.backing !== undefined) this.#cached.delete(n);
    if (n.resource?.primary) this.#cached.add(n);
    // Without its power a primary may lose what nobody had flushed; also if its process had died before.
    if (power && (this.#cached.delete(n) || v?.promoting)) this.ledger.powerCut();
    if (n.resource?.primary || v?.promoting) {
      // It may have begun a generation, though nobody has written in it.
      if (v?.promoting && !v.connected && this.good.has(n.index)) this.good.delete(1 - n.index);
      // In A what the program was told may still be on its way.
      if (this.options.protocol === 'A' && this.good.has(n.index)) this.good.delete(1 - n.index);
    } else if (n.met ? power || this.options.protocol !== 'C' : power && n.disk.pending(power) > 0) {
      // Of what the peer wrote it loses what nobody had flushed, below C also what it had not written yet. Who alone has
      // all does not become worse than any disk that loses its power.
      if (this.good.has(1 - n.index)) this.good.delete(n.index);
      else if (this.good.has(n.index) && n.disk.pending(power) > 0) this.ledger.powerCut();
    }
    if (n.atWork(power)) this.#crashes++;
    n.kill(power);
  }
  /** Throws a copy away that is not needed: the other one is good, and the primary's is kept. */
  protected invalidate(n: SimNode): void {
    const other = this.nodes[(1 - n.index) as 0 | 1];
    if (this.options.bytes > 4 * MIB || !this.good.has(n.index) || other.resource?.primary || !other.alive) return;
    const v = other.resource?.volumes[0];
    if (v?.promoting !== false) return;
    this.good.delete(other.index);
    // Alone, only who is StandAlone may; together either side may ask.
    if (this.world.random.chance(0.5)) other.ask({ verb: 'invalidate', volume: undefined }, () => {});
    else n.ask({ verb: 'invalidate-remote', volume: undefined }, () => {});
  }
  /** Moves the role as a manager does who knows who has all, and who has seen to it that the other is off. */
  protected manage(): void {
    const { random: r } = this.world;
    const p = this.primary;
    if (p !== undefined) {
      if (r.chance(0.5)) p.ask({ verb: 'secondary' }, () => {});
      return;
    }
    const n = r.pick(this.nodes);
    this.promote(n);
  }
  /** What it is asked for. */
  protected role(_: SimNode): MirrorRequest {
    return { verb: 'primary', force: false };
  }
  protected promote(n: SimNode): void {
    const other = this.nodes[(1 - n.index) as 0 | 1];
    const v = n.resource?.volumes[0];
    if (v === undefined || n.pausedUntil > this.world.now) return;
    if (other.resource?.volumes[0]?.promoting || other.resource?.primary) return;
    const together = v.connection === 'Connected' && v.peerDisk === 'UpToDate';
    if (!together) {
      if (!this.good.has(n.index)) return;
      if (other.alive) this.kill(other, this.world.random.chance(0.5));
      if (n.resource?.connection === 'Connected') return;
    }
    const life = other.resource;
    n.ask(this.role(n), (a) => {
      if (a.ok && life !== other.resource && other.resource?.primary)
        throw new Broken('P1: one primary', `${n.name} while ${other.name} is`);
    });
  }

  // ------------------------------------------------------------------------------------------ the promises

  protected promises(): void {
    const primaries = this.nodes.filter((n) => n.resource?.primary);
    if (primaries.length > 1) throw new Broken('P1: one primary', 'both are');
    this.promotions();
    const [p] = primaries;
    // Alone it begins a generation of its own, in A also before it knows: the other is left behind.
    if (p?.resource?.volumes[0]?.connected === false && this.good.has(p.index)) this.good.delete(1 - p.index);
    this.learn();
  }
  /** Who was primary after the event before. */
  readonly #promoted = new Set<SimNode>();
  /**
   * Nobody becomes primary without good data. A target may be: it reads from its source. When that is lost it stays primary,
   * as DRBD's does (pri-on-incon-degr), and answers nothing; what it reads the ledger knows.
   */
  protected promotions(): void {
    for (const n of this.nodes)
      if (!n.resource?.primary) this.#promoted.delete(n);
      else if (!this.#promoted.has(n)) {
        this.#promoted.add(n);
        this.#hasGoodData(n, 'becomes primary');
      }
  }
  #hasGoodData(n: SimNode, does: string): void {
    const v = n.resource?.volumes[0];
    if (v !== undefined && v.disk !== 'UpToDate' && !(v.connected && v.peerDisk === 'UpToDate'))
      throw new Broken('P3: a half copy is never taken for data', `${n.name} ${does} on ${v.disk}`);
  }
  /** Both say that they are equal: whoever was left behind is good again. */
  protected learn(): void {
    if (this.good.size === 1 && this.equalStates()) for (const n of this.nodes) this.good.add(n.index);
  }
  protected settle(): void {
    this.calm = true;
    this.world.note('world', 'heals');
    this.cutLine(false);
    for (const n of this.nodes) if (!n.alive) n.boot();
    for (const n of this.nodes) {
      n.pausedUntil = Math.min(n.pausedUntil, this.world.now + 1);
    }
    this.world.runUntil(this.world.now + 3 * SECOND);
    for (const n of this.nodes) n.ask({ verb: 'connect', discardMyData: false }, () => {});
    for (const n of this.nodes) n.ask({ verb: 'resume-sync', volume: undefined }, () => {});
    this.runUntil('peace', () => this.#peaceful(), 300);
    if (this.primary === undefined) {
      const n = this.world.random.pick(this.nodes);
      const ask = (): void =>
        n.ask(this.role(n), (a) => {
          // Somebody may be on the way still, on a disk that takes its time.
          if (a.ok || this.nodes.some((one) => one.resource?.primary || one.resource?.volumes[0]?.promoting)) return;
          // One that was asked for in trouble may just be going on.
          if (a.code === 'in-transient' || a.code === 'concurrent') this.world.at(this.world.now + 100_000, ask);
          else throw new Broken('a promotion among equals is possible', a.text.en);
        });
      ask();
      this.runUntil('a primary', () => this.primary !== undefined, 10);
    }
    this.works();
    // A last write in peace, so that all that is held is let go; then nobody writes, and all comes to rest.
    this.world.runUntil(this.world.now + 2 * SECOND);
    this.program.pause();
    this.runUntil('the end of all requests', () => this.nodes.every((n) => n.resource?.quiet === true), 30);
    this.world.runUntil(this.world.now + SECOND);
    if (this.options.protocol === 'A' && this.options.onCongestion !== 'block')
      this.runUntil('peace after congestion', () => this.#peaceful(), 60);
    this.compare();
    this.program.resume();
  }
  /** What operators do in peace. */
  protected works(): void {
    const { world, nodes } = this;
    const { random: r } = world;
    const p = this.primary;
    const apart = this.options.protocol === 'A' && this.options.onCongestion === 'disconnect';
    if (p === undefined || apart || this.options.bytes > 4 * MIB) return;
    const runUntil = (what: string, wanted: () => boolean, limit: number): void => this.runUntil(what, wanted, limit);
    const w = { world, nodes, places: this.places, runUntil };
    if (r.chance(0.25)) plantAndVerify(w, p);
    this.runUntil('peace after a verify', () => this.equalStates(), 60);
    if (r.chance(0.2)) growAndUse(w, p, r.pick(nodes));
    this.runUntil('peace after growing', () => this.equalStates(), 60);
  }
  protected compare(): void {
    compareDisks(this.nodes, this.ledger);
    this.world.count(CRASH_ROUNDS, this.#crashes);
    this.#crashes = 0;
  }
}
export function runMirror(seed: number, options?: MirrorWorldOptions): Outcome {
  const w = new MirrorWorld(seed, options);
  return outcomeOf(seed, describe(w.options), w.world, () => w.run());
}
