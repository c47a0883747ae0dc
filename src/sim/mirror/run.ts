/**
 * One world of a mirror: two hosts, their disks and the line between them; a program that writes to whoever is primary; an
 * operator who moves the role as a careful cluster manager would; crashes, power cuts, partitions, pauses. Then all is
 * healed and must settle, with both disks equal. The promises are checked after every event.
 */
import { bytes, type Text } from '../../base/index.ts';
import type { MirrorConfig, MirrorRequest } from '../../mirror/index.ts';
import type { DrbdPacket, DrbdSocket, GenerationId } from '../../wire/index.ts';
import { Broken, type Outcome, outcomeOf } from '../outcome.ts';
import { World } from '../world.ts';
import { type SimMirrorOptions, simConfig } from './config.ts';
import { growAndUse } from './growing.ts';
import { Ledger } from './ledger.ts';
import { Line, type Wire } from './line.ts';
import { type Rendezvous, SimNode } from './node.ts';
import { plantAndVerify } from './verifying.ts';

const SECOND = 1_000_000;
const MIB = 1 << 20;
/** By what name worlds count them. */
const CRASH_ROUNDS = 'crash rounds';

export type MirrorWorldOptions = SimMirrorOptions & {
  readonly bytes: number;
  readonly rounds: number;
  /** Blocks that the program writes to, at most so many places. */
  readonly places: number;
  /** New disks, which are copied first; else both hold the same from the beginning. */
  readonly fresh: boolean;
  /** Changes what simConfig says. */
  readonly settings?: (c: MirrorConfig) => MirrorConfig;
};

export class MirrorWorld {
  readonly world: World;
  readonly options: MirrorWorldOptions;
  readonly nodes: readonly [SimNode, SimNode];
  readonly ledger: Ledger;
  protected readonly wire: Wire & { waiting: (() => void)[] };
  protected readonly places: number[] = [];
  protected calm = false;
  protected writing = true;
  protected stamp = 0;
  protected clients = 0;
  /** A write that was stable when it was answered is there wherever the role moves to. */
  protected readonly throughCounts: boolean = true;

  constructor(seed: number, options?: MirrorWorldOptions) {
    this.world = new World(seed);
    const { random: r } = this.world;
    const large = r.chance(0.03);
    this.options = options ?? {
      protocol: r.pick(['A', 'B', 'C', 'C', 'C'] as const),
      checksums: r.chance(0.3),
      integrity: r.chance(0.2),
      onCongestion: r.pick(['block', 'pull-ahead', 'pull-ahead', 'disconnect'] as const),
      alExtents: 67,
      planAhead: r.pick([0, 500, 2000] as const),
      bytes: large ? 320 * MIB : r.between(1, 3) * MIB,
      rounds: r.between(1, 2),
      places: r.pick([4, 30, 300] as const),
      fresh: !large,
    };
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
    for (let i = 0; i < 3; i++) this.client();
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

  /** Two that look for each other meet, and no call is in the way of another. */
  protected rendezvous(): Rendezvous {
    return { seeks: (n: SimNode) => this.#seek(n) };
  }
  #seek(n: SimNode): void {
    const other = this.nodes[(1 - n.index) as 0 | 1];
    const { random: r } = this.world;
    this.world.at(this.world.now + r.between(1_000, 300_000), () => {
      if (!n.alive || !n.seeking || n.lines.data !== undefined) return;
      if (this.wire.cut || !other.alive || !other.seeking || other.lines.data !== undefined) return this.#seek(n);
      this.#meet(n, other);
    });
  }
  #meet(opener: SimNode, other: SimNode): void {
    const end = (n: SimNode, at: 0 | 1) => ({
      arrives: (run: () => void): void => n.feed(run),
      hears: (socket: DrbdSocket, packet: DrbdPacket): void => {
        // Whoever is called knows of the line when it hears the first packet, and not before.
        if (at === 1 && packet.kind === 'P_INITIAL_DATA' && n.lines.data === undefined) {
          if (n.seeking) both(n, at);
          else line.close(at);
        }
        if (n.lines.data?.line !== line) return;
        // Who accepts the data socket opens the other at once.
        if (packet.kind === 'P_INITIAL_DATA') {
          n.handle({ kind: 'socket', socket: 'data', opened: 'there' });
          n.handle({ kind: 'socket', socket: 'meta', opened: 'here' });
        } else if (packet.kind === 'P_INITIAL_META') n.handle({ kind: 'socket', socket: 'meta', opened: 'there' });
        else n.handle({ kind: 'packet', socket, packet });
      },
      closed: (because: Text): void => {
        if (n.lines.data?.line === line) n.handle({ kind: 'closed', because });
      },
    });
    const line: Line = new Line(this.world, this.wire, [end(opener, 0), end(other, 1)]);
    const both = (n: SimNode, at: 0 | 1): void => {
      const end = { line, end: at };
      n.lines = { data: end, meta: end };
    };
    both(opener, 0);
    opener.feed(() => {
      if (opener.lines.data?.line === line) opener.handle({ kind: 'socket', socket: 'data', opened: 'here' });
    });
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
  /** One client: writes, flushes and reads, one after the other. */
  protected client(): void {
    const { random: r } = this.world;
    this.clients++;
    const next = (): void => {
      const wait = this.calm ? r.between(5_000, 80_000) : r.between(0, r.chance(0.3) ? 200_000 : 20_000);
      this.world.at(this.world.now + wait, () => this.act(next));
    };
    next();
  }
  protected act(next: () => void): void {
    if (!this.writing) {
      this.clients--;
      return;
    }
    const { random: r } = this.world;
    const n = this.writer();
    if (n === undefined) {
      this.world.at(this.world.now + 100_000, () => this.act(next));
      return;
    }
    const kind = r.between(0, 19);
    const life = n.resource;
    if (kind === 0) {
      const done = this.ledger.flushing();
      n.app({ op: 'flush' }, (result) => {
        if (result === 0) {
          done();
          this.answered(n);
        }
        next();
      });
    } else if (kind < 5) this.readOne(n, next);
    else {
      const at = r.pick(this.places) + (r.chance(0.3) ? r.between(0, 7) * 512 : 0);
      const length = r.chance(0.3) ? 512 : r.between(1, r.chance(0.05) ? 64 : 4) * 4096;
      const fits = Math.min(length, 2 * 4096 * 8);
      const stamp = ++this.stamp;
      const through = kind === 5;
      const bytes = new Uint8Array(fits);
      const view = new DataView(bytes.buffer);
      for (let s = 0; s < fits; s += 512) view.setUint32(s, stamp);
      const done = this.ledger.writing(at, fits, stamp, through && this.throughCounts);
      n.app({ op: 'write', offset: at, bytes, through }, (result) => {
        if (result === 0) {
          done();
          this.answered(n);
          this.acknowledged(n);
        }
        next();
      });
    }
    // A request that a dead process took with it is not answered.
    const watch = (): void => {
      this.world.at(this.world.now + 200_000, () => {
        if (n.resource === life) watch();
        else next();
      });
    };
    if (life !== n.resource) watch();
  }
  protected readOne(n: SimNode, next: () => void): void {
    const at = this.world.random.pick(this.places);
    const into = new Uint8Array(4096);
    const before = this.ledger.allowed(at, 4096);
    n.app({ op: 'read', offset: at, into }, (result) => {
      if (result === 0) {
        const wrong = this.ledger.read(at, into, before);
        if (wrong !== undefined) throw new Broken('P2: what was acknowledged is read', `${n.name}: ${wrong}`);
      }
      next();
    });
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
    for (let i = this.world.random.between(1, 6); i > 0; i--) this.client();
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
   * as DRBD's does (pri-on-incon-degr), and answers nothing: see `answered`; what it reads the ledger knows.
   */
  protected promotions(): void {
    for (const n of this.nodes)
      if (!n.resource?.primary) this.#promoted.delete(n);
      else if (!this.#promoted.has(n)) {
        this.#promoted.add(n);
        this.#hasGoodData(n, 'becomes primary');
      }
  }
  /** A write or a flush of its application, with success. */
  protected answered(n: SimNode): void {
    this.#hasGoodData(n, 'answers');
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
          if (a.ok || this.primary !== undefined) return;
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
    const clients = this.clients;
    this.writing = false;
    this.runUntil('the end of all requests', () => this.nodes.every((n) => n.resource?.quiet === true), 30);
    this.world.runUntil(this.world.now + SECOND);
    if (this.options.protocol === 'A' && this.options.onCongestion !== 'block')
      this.runUntil('peace after congestion', () => this.#peaceful(), 60);
    this.compare();
    this.writing = true;
    this.clients = 0;
    for (let i = 0; i < Math.max(1, clients); i++) this.client();
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
    const [a, b] = this.nodes;
    const size = Math.min(...this.nodes.map((n) => (n.resource?.volumes[0]?.size ?? 0) * 512));
    const pages = new Set([...a.disk.pages(), ...b.disk.pages()]);
    for (const page of [...pages].sort((x, y) => x - y)) {
      const length = Math.min(4096, size - page * 4096);
      if (length <= 0) continue;
      const [x, y] = [a.disk.page(page).subarray(0, length), b.disk.page(page).subarray(0, length)];
      if (Buffer.compare(x, y) !== 0)
        throw new Broken(
          'no undetected divergence',
          `page ${page}: ${stamps(x)} on ${a.name}, ${stamps(y)} on ${b.name}; allowed ${this.ledger.describe(page * 4096)}`,
        );
      const wrong = this.ledger.read(page * 4096, x, []);
      if (wrong !== undefined) throw new Broken('P2: nothing acknowledged is lost', wrong);
    }
    for (const at of this.ledger.written())
      if (!pages.has(Math.floor(at / 4096)))
        throw new Broken('P2: nothing acknowledged is lost', `${at} was never written`);
    this.world.count(CRASH_ROUNDS, this.#crashes);
    this.#crashes = 0;
  }
}
const stamps = (b: Uint8Array): string => {
  const v = new DataView(b.buffer, b.byteOffset, b.length);
  return Array.from({ length: b.length / 512 }, (_, i) => v.getUint32(i * 512)).join(',');
};

export function runMirror(seed: number, options?: MirrorWorldOptions): Outcome {
  const w = new MirrorWorld(seed, options);
  return outcomeOf(seed, describe(w.options), w.world, () => w.run());
}
export function describe(o: MirrorWorldOptions): string {
  const { protocol, checksums, integrity, onCongestion, planAhead, bytes, rounds, places } = o;
  return `protocol ${protocol}, ${bytes / MIB} MiB, ${places} places, ${rounds} rounds, checksums ${checksums}, integrity ${integrity}, congestion ${onCongestion}, plan ${planAhead}`;
}
