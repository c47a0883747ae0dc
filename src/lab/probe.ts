import { extname, join } from 'node:path';
import { type Microseconds, us } from '../base/index.ts';
import type { Host } from './host.ts';
import { type Answer, longestOutage, type Outage } from './outages.ts';
import { now, type Program } from './program.ts';

export type ProbeTarget =
  /** A GET on a connection of its own for each ask; 200 is good, and the body's first line says who answered. */
  | { readonly http: string }
  /** A connection that is accepted is good. */
  | { readonly tcp: { readonly address: string; readonly port: number } }
  /** Answered by `startResponder`. Down to one ask a millisecond. */
  | { readonly udp: { readonly address: string; readonly port: number } };
export type ProbeOptions = {
  /** 10 unless said. */
  readonly intervalMs?: number;
  /** How long an ask waits for its answer, while others go on; 200 unless said. */
  readonly patienceMs?: number;
};

/** These run beside this file: as .ts from a checkout, as .js from dist. */
const beside = (name: string): string => join(import.meta.dirname, name + extname(import.meta.filename));

/** A client that asks and asks; what it saw is at hand while it runs. */
export class Probe {
  readonly #program: Program;
  readonly #answers: Answer[] = [];
  readonly #listeners = new Set<(a: Answer) => void>();
  #late = 0;

  constructor(program: Program) {
    this.#program = program;
    program.onLine((l) => {
      if (l.from !== 'stdout' || !l.text.startsWith('{')) return;
      const told = JSON.parse(l.text) as { answers: [number, number, string | null, string | null][]; late: number };
      this.#late = told.late;
      for (const [askedAt, at, by, error] of told.answers) {
        const a: Answer = { askedAt: us(askedAt), at: us(at), by: by ?? undefined, error: error ?? undefined };
        this.#answers.push(a);
        for (const listen of [...this.#listeners]) listen(a);
      }
    });
  }

  get answers(): readonly Answer[] {
    return this.#answers;
  }
  /** The longest time by which the probe itself was late to ask: an outage shorter than that may be its own. */
  get late(): Microseconds {
    return us(this.#late);
  }
  /** Who gave the last good answer. */
  get by(): string | undefined {
    return this.#answers.findLast((a) => a.error === undefined)?.by;
  }

  /** The first good answer asked for after this call, from `by` where given. Rejects never; undefined when the time is over. */
  async answered(o: { readonly by?: string; readonly timeoutMs?: number } = {}): Promise<Answer | undefined> {
    const from = now();
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    const listen = (a: Answer): void => {
      if (a.error === undefined && a.askedAt >= from && (o.by === undefined || a.by === o.by)) resolve(a);
    };
    this.#listeners.add(listen);
    const timer = setTimeout(() => resolve(undefined), o.timeoutMs ?? 10_000);
    void this.#program.exited.then(() => resolve(undefined));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(listen);
    }
  }

  /** What a client saw of an event: the longest time without a good answer that ended at or after `since`. */
  outage(since: Microseconds, until: Microseconds = now()): Outage | undefined {
    return longestOutage(this.#answers, { since, until });
  }

  async stop(): Promise<void> {
    await this.#program.kill('SIGKILL');
    await this.#program.exited;
  }
}

/** Starts to ask from inside a host; resolves when the first ask is on its way. */
export async function startProbe(host: Host, target: ProbeTarget, o: ProbeOptions = {}): Promise<Probe> {
  const words =
    'http' in target
      ? ['http', target.http]
      : 'tcp' in target
        ? ['tcp', target.tcp.address, `${target.tcp.port}`]
        : ['udp', target.udp.address, `${target.udp.port}`];
  const times = [`${o.intervalMs ?? 10}`, `${o.patienceMs ?? 200}`];
  const program = host.spawn([process.execPath, beside('probe-main'), ...words, ...times]);
  const probe = new Probe(program);
  await program.line(/^ready$/, 60_000);
  return probe;
}

/** Makes a host say its name at a port, over UDP and HTTP, on all its addresses; resolves when it listens. */
export async function startResponder(host: Host, port: number): Promise<Program> {
  const program = host.spawn([process.execPath, beside('responder-main'), `${port}`]);
  await program.line(/^ready$/, 60_000);
  return program;
}
