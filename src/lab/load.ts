import { extname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Microseconds } from '../base/index.ts';
import type { Host } from './host.ts';
import type { Program } from './program.ts';

/** Times are monotonic microseconds, the same clock in every host. */
export type LoadState = {
  readonly open: number;
  /** Ended, reset or given up before we were done with them. Never opened again. */
  readonly broken: number;
  /** How they ended: `ECONNRESET`, `closed`, ... -> how many. */
  readonly errors: Readonly<Record<string, number>>;
  readonly answers: number;
  /** The longest that a connection waited for an answer that came. */
  readonly longest: number;
  /** Every open connection was answered to something that it asked at this moment or later. */
  readonly provenSince: number;
};
export type LoadOptions = {
  readonly address: string;
  readonly port: number;
  readonly connections: number;
  /** Between an answer and the next ask on the same connection. */
  readonly pauseMs: number;
};

/** Connections that are kept alive, asking one thing after the other: what becomes of them while the network changes. */
export class Load {
  readonly #program: Program;
  #state: LoadState = { open: 0, broken: 0, errors: {}, answers: 0, longest: 0, provenSince: 0 };

  constructor(program: Program) {
    this.#program = program;
    program.onLine((l) => {
      if (l.from === 'stdout' && l.text.startsWith('{')) this.#state = JSON.parse(l.text) as LoadState;
    });
  }

  get state(): LoadState {
    return this.#state;
  }
  /** Whether every connection that is still open was answered to what it asked after `since`; waits for that. */
  async provenSince(since: Microseconds, timeoutMs: number): Promise<boolean> {
    for (const end = performance.now() + timeoutMs; performance.now() < end; await sleep(20))
      if (this.#state.provenSince > since) return true;
    return false;
  }
  async stop(): Promise<void> {
    await this.#program.kill('SIGKILL');
    await this.#program.exited;
  }
}

/** Resolves when every connection is open and had its first answer. */
export async function startLoad(host: Host, o: LoadOptions): Promise<Load> {
  const script = join(import.meta.dirname, `load-main${extname(import.meta.filename)}`);
  const words = [o.address, `${o.port}`, `${o.connections}`, `${o.pauseMs}`];
  const program = host.spawn([process.execPath, script, ...words]);
  const load = new Load(program);
  await program.line(/^ready$/, 60_000);
  return load;
}
