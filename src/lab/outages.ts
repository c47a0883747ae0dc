import { type Microseconds, us } from '../base/index.ts';

/** One ask of a probe and what came of it. Times are monotonic and the same clock in every host. */
export type Answer = {
  readonly askedAt: Microseconds;
  /** When the answer, the refusal or the end of patience came. */
  readonly at: Microseconds;
  /** Who answered: the first line of the body (HTTP, UDP); `connected` for TCP. Undefined where nobody did. */
  readonly by: string | undefined;
  /** `timeout`, `ECONNREFUSED`, `HTTP 503`, ... Undefined for a good answer. */
  readonly error: string | undefined;
};

/** The time between two good answers that follow each other. */
export type Outage = {
  /** The last good answer before; undefined where there was none. */
  readonly from: Microseconds | undefined;
  /** The first good answer after; undefined where none has come yet. */
  readonly to: Microseconds | undefined;
  /** Between them; an end that is missing is replaced by the end of what was looked at. */
  readonly length: Microseconds;
  /** Asks between them that failed. */
  readonly failed: number;
  readonly before: string | undefined;
  readonly after: string | undefined;
};

/** Every span between good answers in [since, until], by time of arrival. Without loss each is about the probe's interval. */
function spans(
  answers: readonly Answer[],
  o: { readonly since: Microseconds; readonly until: Microseconds },
): readonly Outage[] {
  const inOrder = answers.filter((a) => a.at <= o.until).sort((a, b) => a.at - b.at);
  const good = inOrder.filter((a) => a.error === undefined);
  const bad = inOrder.filter((a) => a.error !== undefined);
  let firstBad = 0;
  const failedUpTo = (from: number, to: number): number => {
    while (firstBad < bad.length && (bad[firstBad] as Answer).askedAt < from) firstBad++;
    let n = 0;
    for (let i = firstBad; i < bad.length && (bad[i] as Answer).askedAt < to; i++) n++;
    return n;
  };
  const out: Outage[] = [];
  for (let i = 0; i <= good.length; i++) {
    const [before, after] = [good[i - 1], good[i]];
    const from = before?.at ?? o.since;
    const to = after?.at ?? o.until;
    if (to < o.since || (before === undefined && to <= from)) continue;
    out.push({
      from: before?.at,
      to: after?.at,
      length: us(Math.max(0, to - from)),
      failed: failedUpTo(from, to),
      before: before?.by,
      after: after?.by,
    });
  }
  return out;
}

/** The longest span that ends in [since, until]: begin with the moment just before an event to have what a client saw of it. */
export function longestOutage(
  answers: readonly Answer[],
  o: { readonly since: Microseconds; readonly until: Microseconds },
): Outage | undefined {
  return spans(answers, o).reduce<Outage | undefined>(
    (longest, s) => (longest === undefined || s.length > longest.length ? s : longest),
    undefined,
  );
}
