/** Who listens to a mirror is sent its document when a state changed, and once a second while only figures move. */
import type { MirrorDocument } from '../../api/index.ts';

const FIGURES_MS = 1000;
/** Several changes of one moment are one document. */
const GATHER_MS = 10;

/** What a document says beside its figures. Pure. */
function statesOf(d: MirrorDocument): string {
  return JSON.stringify(
    d.mirrors.map((m) => [
      m.role,
      m.connection,
      m.stranded,
      m.reasons.at(-1),
      m.volumes.map((v) => [
        v.role,
        v.peerRole,
        v.connection,
        v.disk,
        v.peerDisk,
        v.size,
        v.suspended,
        v.paused,
        v.sync?.kind,
        v.sync?.paused,
        v.undo?.is,
        v.uuids,
      ]),
    ]),
  );
}

export class Followers {
  readonly #document: () => MirrorDocument;
  readonly #all = new Set<(d: unknown) => void>();
  #timer: NodeJS.Timeout | undefined;
  #states = '';
  #figures = '';
  #sentAt = 0;

  constructor(document: () => MirrorDocument) {
    this.#document = document;
  }
  /** Returns what ends it. */
  add(send: (d: unknown) => void): () => void {
    this.#all.add(send);
    const now = this.#document();
    if (this.#all.size === 1) this.#states = statesOf(now);
    send(now);
    return () => void this.#all.delete(send);
  }
  /** After each turn of the mirror; costs nothing while nobody listens. */
  look(): void {
    if (this.#all.size === 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#send(), GATHER_MS);
  }
  #send(): void {
    this.#timer = undefined;
    const d = this.#document();
    const [states, figures] = [statesOf(d), JSON.stringify(d.mirrors)];
    const left = this.#sentAt + FIGURES_MS - performance.now();
    if (states === this.#states && left > 0) {
      if (figures !== this.#figures) this.#timer = setTimeout(() => this.#send(), left);
      return;
    }
    [this.#states, this.#figures, this.#sentAt] = [states, figures, performance.now()];
    for (const send of this.#all) send(d);
  }
}
