/**
 * `resync-after`: a resync stands still while what it comes after is under way. Each mirror of a host is a process, so one
 * listens to the other over its control socket; one that does not run is not waited for.
 */
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { MIRROR_FOLDER, type MirrorAsk, type MirrorDocument, mirrorPaths } from '../../api/index.ts';
import type { MirrorConfig, MirrorStatus } from '../../mirror/index.ts';

const AGAIN_MS = 500;
const FOLLOW: MirrorAsk = { ask: 'follow' };
const UNDER_WAY: ReadonlySet<string> = new Set([
  'SyncSource',
  'SyncTarget',
  'VerifyS',
  'VerifyT',
  'PausedSyncS',
  'PausedSyncT',
]);
/**
 * As DRBD judges it: also what stands still goes first, and what would stand still if it had anything to do, since it may
 * itself come after another. Pure.
 */
export const underWay = (m: MirrorStatus, volume: number | undefined): boolean =>
  m.volumes.some(
    (v) => (volume === undefined || v.volume === volume) && (UNDER_WAY.has(v.connection) || v.paused.length > 0),
  );

type Wish = { readonly of: number; readonly name: string; readonly volume: number | undefined };
/** Who of a mirror's volumes comes after whom. Pure. */
export const wishesOf = (c: MirrorConfig): readonly Wish[] =>
  c.volumes.flatMap((v): Wish[] => {
    const [name, volume] = (v.options.resyncAfter ?? '').split('/');
    if (name === undefined || name === '') return [];
    return [{ of: v.number, name, volume: volume === undefined ? undefined : Number(volume) }];
  });

export type TurnsHost = {
  /** The own control socket: those of the others lie beside it. */
  readonly socket: string;
  readonly name: string;
  /** The own document, now and whenever it changes; returns what ends it. */
  readonly follow: (seen: (d: unknown) => void) => () => void;
  readonly set: (volume: number, busy: boolean) => void;
};

export class Turns {
  readonly #h: TurnsHost;
  #ends: (() => void)[] = [];
  #wishes: readonly Wish[] = [];

  constructor(h: TurnsHost) {
    this.#h = h;
  }
  /** From now on by this configuration. */
  use(c: MirrorConfig): void {
    const wishes = wishesOf(c);
    if (JSON.stringify(wishes) === JSON.stringify(this.#wishes)) return;
    this.stop();
    for (const old of this.#wishes) if (!wishes.some((w) => w.of === old.of)) this.#h.set(old.of, false);
    this.#wishes = wishes;
    for (const name of new Set(wishes.map((w) => w.name))) {
      const seen = (d: unknown): void =>
        this.#judge(
          name,
          (d as MirrorDocument).mirrors.find((m) => m.name === name),
        );
      this.#ends.push(
        name === this.#h.name
          ? this.#h.follow(seen)
          : listen([join(dirname(this.#h.socket), `${name}.sock`), mirrorPaths(MIRROR_FOLDER, name).socket], seen, () =>
              this.#judge(name, undefined),
            ),
      );
    }
  }
  stop(): void {
    for (const end of this.#ends.splice(0)) end();
  }
  #judge(name: string, m: MirrorStatus | undefined): void {
    for (const w of this.#wishes) if (w.name === name) this.#h.set(w.of, m !== undefined && underWay(m, w.volume));
  }
}

/** Of the first of the sockets that answers; `gone`: none does. Tries again and again until it is ended. */
function listen(paths: readonly string[], seen: (d: MirrorDocument) => void, gone: () => void): () => void {
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  let close = (): void => {};
  const attempt = (at: number): void => {
    const path = paths[at];
    if (path === undefined) {
      gone();
      timer = setTimeout(() => attempt(0), AGAIN_MS);
      return;
    }
    const s = connect(path);
    close = () => void s.destroy();
    s.setEncoding('utf8');
    s.on('error', () => {}); // its close follows
    s.on('connect', () => s.write(`${JSON.stringify(FOLLOW)}\n`));
    let rest = '';
    let heard = false;
    s.on('data', (chunk: string) => {
      heard = true;
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      const last = lines.at(-1);
      if (last !== undefined && !over) seen(JSON.parse(last) as MirrorDocument);
    });
    s.on('close', () => {
      if (over) return;
      // It is gone, or it never was there: then the next socket.
      attempt(heard ? paths.length : at + 1);
    });
  };
  attempt(0);
  return () => {
    over = true;
    clearTimeout(timer);
    close();
  };
}
