/** A resync that is cut off again and again, beside large writes and in silence; `HOLDFAST_CUTS=50` for more cuts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VolumeStatus } from '../../src/api/index.ts';
import { Random } from '../../src/base/index.ts';
import type { MirrorPair, PairHost, Program } from '../../src/lab/index.ts';
import { found, good, inSync, MIB, noDevices, startPair, until, volumeOf } from '../support/mirror-pair.ts';
import { differences, Promises } from '../support/promises.ts';

const SIZE = 48 * MIB;
/** All that the device has, but what its metadata take. */
const BLOCKS = 11 * 1024;
const LARGEST = MIB / 4096;
/** A dead line is seen soon, and a resync is slow enough to be met. */
const sections = (rate: string): string =>
  `net { timeout 9; connect-int 1; ping-int 1; ping-timeout 9; verify-alg crc32c; }\n disk { c-plan-ahead 0; resync-rate ${rate}; }`;

const KINDS = ['frames vanish', 'no cable', 'killed', 'disconnected'] as const;
type Kind = (typeof KINDS)[number];
/** Each kind twice beside writes and once in silence, or so many as are asked for. */
function rounds(random: Random): readonly { readonly kind: Kind; readonly quiet: boolean }[] {
  const asked = Number(process.env['HOLDFAST_CUTS'] ?? KINDS.length * 3);
  return Array.from({ length: asked }, (_, i) => ({
    kind: KINDS[i % KINDS.length] as Kind,
    quiet: Math.floor(i / KINDS.length) % 3 === 2,
    order: random.unit(),
  })).sort((a, b) => a.order - b.order);
}

class Trial {
  readonly #pair: MirrorPair;
  readonly #random: Random;
  readonly promises: Promises;
  #writer: Program | undefined;
  acknowledged = 0;

  constructor(pair: MirrorPair, random: Random) {
    this.#pair = pair;
    this.#random = random;
    this.promises = new Promises(pair, BLOCKS);
  }
  async write(): Promise<void> {
    this.#writer ??= await this.promises.write('ha1', Math.floor(this.#random.unit() * 0xffff_ffff), LARGEST);
  }
  /** Nothing of what it wrote is under way any more. */
  async silence(): Promise<void> {
    const w = this.#writer;
    this.#writer = undefined;
    if (w === undefined) return;
    await w.kill('SIGKILL');
    await w.exited;
    this.acknowledged += this.promises.note(w);
    await good(this.#pair.run('ha1', ['blockdev', '--flushbufs', '/dev/holdfast/data']));
    await until(this.#pair, 'ha1', (v) => v.counters.ap === 0, 'quiet');
  }
  /** In the midst of a resync, of which something is done; where none is left, one of everything begins. */
  async midst(): Promise<VolumeStatus> {
    for (;;) {
      const v = await until(this.#pair, 'ha1', (s) => inSync(s) || (s.sync?.done ?? 0) > 0, 'resyncing');
      if (v.sync !== undefined && v.outOfSync > MIB) return v;
      if (inSync(v)) await this.#pair.mirror('ha1', 'invalidate-remote', 'data', '--accept-data-loss=data');
    }
  }
  async cut(kind: Kind): Promise<void> {
    const link = this.#pair.lab.link('ha2', 'eth0');
    const alone = (h: PairHost): Promise<VolumeStatus> =>
      until(this.#pair, h, (v) => v.connection === 'WFConnection' || v.connection === 'StandAlone', `alone: ${kind}`);
    switch (kind) {
      case 'frames vanish':
      case 'no cable':
        await link.cut({ carrier: kind === 'no cable' });
        await alone('ha1');
        await link.heal();
        return;
      case 'killed':
        await good(this.#pair.run('ha2', ['pkill', '-KILL', '-f', 'mirror (keep|run) data']));
        await alone('ha1');
        await good(this.#pair.up('ha2'));
        return;
      case 'disconnected': {
        const h = this.#random.chance(0.5) ? 'ha1' : 'ha2';
        await good(this.#pair.mirror(h, 'disconnect', 'data'));
        await alone('ha1');
        await good(this.#pair.mirror(h, 'connect', 'data'));
      }
    }
  }
  /** Nothing writes: what is out of sync only grows back to what a killed target had on its disk, its bitmap of the beginning. */
  async cutInSilence(kind: Kind): Promise<void> {
    await this.silence();
    const { sync, outOfSync } = await this.midst();
    const most = kind === 'killed' ? (sync?.total ?? 0) : outOfSync;
    let over = false;
    const watch = (async (): Promise<void> => {
      for (let last = most; !over; await sleep(50)) {
        const now = (await volumeOf(this.#pair, 'ha1'))?.outOfSync ?? last;
        assert.ok(now <= last, `${kind}: ${now} are out of sync, ${last} were, and nobody wrote`);
        if (kind !== 'killed') last = now;
      }
    })();
    const cut = this.cut(kind).then(() =>
      until(this.#pair, 'ha1', (v) => inSync(v) || (v.sync?.done ?? 0) > 0, 'resyncing again'),
    );
    await Promise.all([watch, cut.finally(() => (over = true))]);
  }
}

test('a resync that is cut off again and again beside large writes ends, loses nothing, and leaves both disks equal', {
  skip: noDevices,
  timeout: 240_000,
}, async (t) => {
  const seed = Date.now() >>> 0;
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  const pair = await startPair(t, { size: SIZE, sections: sections('10M') });
  await found(pair);
  const trial = new Trial(pair, random);
  const cuts = rounds(random);
  for (const { kind, quiet } of cuts) {
    const at = performance.now();
    if (quiet) await trial.cutInSilence(kind);
    else {
      await trial.write();
      await trial.midst();
      await trial.cut(kind);
    }
    t.diagnostic(`${kind}${quiet ? ', in silence' : ''}: ${Math.round(performance.now() - at)} ms`);
  }
  await trial.silence();
  await until(pair, 'ha1', (v) => inSync(v) && v.outOfSync === 0, 'in sync in the end');
  assert.deepEqual(await trial.promises.lost('ha1'), []);

  await good(pair.mirror('ha1', 'verify', 'data'));
  const log = '/run/holdfast/mirror/data.log';
  const ended = `for i in $(seq 300); do grep 'verify finished' ${log} && exit; sleep 0.1; done; exit 1`;
  assert.match(await good(pair.run('ha1', ['sh', '-c', ended])), /no difference/);
  const v = await until(pair, 'ha1', inSync, 'verified');
  assert.equal(v.outOfSync, 0);
  assert.equal(await differences(pair, v.size), '', 'the disks differ');
  assert.ok(trial.acknowledged > cuts.length * 10, `hardly anything was written: ${trial.acknowledged}`);
  t.diagnostic(`${trial.acknowledged} writes were acknowledged beside ${cuts.length} cuts; none was lost`);
});
