/** Two hosts whose disks are equal and connected, under the hand of a test: no faults but those that it makes. */
import type { MirrorAnswer, MirrorConfig, MirrorRequest, Resource } from '../../mirror/index.ts';
import { MirrorWorld } from './run.ts';

const PEACE = {
  protocol: 'C',
  checksums: false,
  alExtents: 67,
  planAhead: 0,
  integrity: false,
  onCongestion: 'block',
  bytes: 1 << 20,
  rounds: 0,
  places: 4,
  fresh: false,
} as const;

export class MirrorPair extends MirrorWorld {
  constructor(settings: (c: MirrorConfig) => MirrorConfig, seed = 1) {
    super(seed, { ...PEACE, settings });
  }
  protected override promises(): void {}
  /** Both are up, and connected. */
  start(): this {
    for (const n of this.nodes) n.boot();
    this.runUntil('the first connection', () => this.equalStates(), 30);
    return this;
  }
  resource(who: 0 | 1): Resource {
    const r = this.nodes[who].resource;
    if (r === undefined) throw new Error('bug: the node is off');
    return r;
  }
  volume(who: 0 | 1): Resource['volumes'][number] {
    return this.resource(who).volume(0);
  }
  /** Milliseconds of the world. */
  pass(time: number): void {
    this.world.runUntil(this.world.now + time * 1000);
  }
  /** The answer, when it comes within `limit` seconds. */
  ask(who: 0 | 1, request: MirrorRequest, limit = 20): MirrorAnswer {
    let got: MirrorAnswer | undefined;
    this.nodes[who].ask(request, (a) => {
      got = a;
    });
    this.runUntil(`an answer to ${request.verb}`, () => got !== undefined, limit);
    return got as unknown as MirrorAnswer;
  }
  /** Begins a write of a page; its result is there when it is answered. */
  write(who: 0 | 1, page: number, fill: number, through = false): { result: number | undefined } {
    const state: { result: number | undefined } = { result: undefined };
    const bytes = new Uint8Array(4096).fill(fill);
    this.nodes[who].app({ op: 'write', offset: page * 4096, bytes, through }, (result) => {
      state.result = result;
    });
    return state;
  }
  read(who: 0 | 1, page: number): { result: number | undefined; readonly into: Uint8Array } {
    const into = new Uint8Array(4096);
    const state: { result: number | undefined; readonly into: Uint8Array } = { result: undefined, into };
    this.nodes[who].app({ op: 'read', offset: page * 4096, into }, (result) => {
      state.result = result;
    });
    return state;
  }
  flush(who: 0 | 1): { result: number | undefined } {
    const state: { result: number | undefined } = { result: undefined };
    this.nodes[who].app({ op: 'flush' }, (result) => {
      state.result = result;
    });
    return state;
  }
  /** What the disk of a host holds at the first byte of a page. */
  onDisk(who: 0 | 1, page: number): number {
    return this.nodes[who].disk.look(page * 4096, 1)[0] as number;
  }
  /** Reasons that a host has told, in English. */
  reasons(who: 0 | 1): readonly string[] {
    return this.resource(who)
      .status()
      .reasons.map((r) => r.text.en);
  }
}
