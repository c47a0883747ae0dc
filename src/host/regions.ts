/** First-fit parts of a span, given out and taken back. Pure; whole pages. */
const PAGE = 4096;

type Gap = { readonly at: number; readonly bytes: number };

export class Regions {
  #gaps: Gap[];

  constructor(bytes: number) {
    this.#gaps = [{ at: 0, bytes }];
  }
  /** Undefined when no gap is wide enough. */
  take(bytes: number): Gap | undefined {
    const wanted = Math.ceil(bytes / PAGE) * PAGE;
    const i = this.#gaps.findIndex((g) => g.bytes >= wanted);
    const gap = this.#gaps[i];
    if (gap === undefined) return undefined;
    const rest = gap.bytes - wanted;
    this.#gaps.splice(i, 1, ...(rest > 0 ? [{ at: gap.at + wanted, bytes: rest }] : []));
    return { at: gap.at, bytes: wanted };
  }
  /** `part` came from `take` and was not given back before. */
  give(part: Gap): void {
    const merged: { at: number; bytes: number }[] = [];
    for (const g of [...this.#gaps, part].sort((a, b) => a.at - b.at)) {
      const last = merged.at(-1);
      if (last && last.at + last.bytes === g.at) last.bytes += g.bytes;
      else merged.push({ at: g.at, bytes: g.bytes });
    }
    this.#gaps = merged;
  }
}
