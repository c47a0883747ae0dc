/** What the checkers of this process need besides the host: users for their programs, and BFD sessions that run in the beat. */
import { randomBytes } from 'node:crypto';
import { text } from '../../base/index.ts';
import { type StartChecks, startCheckRunner } from '../../director/index.ts';
import type { Cancel, Host } from '../../host/index.ts';
import { systemAccounts } from '../scripts/accounts.ts';
import { type ScriptDefaults, ScriptRunner } from '../scripts/runner.ts';

export class Checks {
  readonly #host: Host;
  readonly #runner: ScriptRunner;
  readonly #sessions = new Map<string, boolean>();
  readonly #watchers = new Map<string, Set<(up: boolean) => void>>();

  constructor(host: Host, scripts: ScriptDefaults) {
    this.#host = host;
    this.#runner = new ScriptRunner(scripts, host, systemAccounts);
  }
  readonly start: StartChecks = (report) => {
    const { clock, entropy, files, log, streams, processes } = this.#host;
    return startCheckRunner(
      {
        clock,
        entropy,
        files,
        log,
        streams,
        run: (script, exited) => {
          const command = this.#runner.command(script);
          if ('argv' in command) return processes.run(command, exited);
          const doing = text(`run ${script.argv[0]}: ${command.en}`, `运行 ${script.argv[0]}：${command.zh}`);
          setImmediate(() => exited({ failed: { code: 'ENOENT', doing } }));
          return { pid: undefined, signal: () => {} };
        },
        bfd: (session, changed) => this.#watch(session, changed),
      },
      (n) => randomBytes(n),
      report,
    );
  };
  use(scripts: ScriptDefaults): void {
    this.#runner.use(scripts);
  }
  /** As the beat tells. */
  bfd(session: string, up: boolean): void {
    this.#sessions.set(session, up);
    for (const changed of this.#watchers.get(session) ?? []) changed(up);
  }
  #watch(session: string, changed: (up: boolean) => void): Cancel {
    const known = this.#sessions.get(session);
    if (known !== undefined) changed(known);
    const watchers = this.#watchers.get(session) ?? new Set();
    this.#watchers.set(session, watchers.add(changed));
    return () => watchers.delete(changed);
  }
}
