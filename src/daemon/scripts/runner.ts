/** Starts scripts of the configuration as the users that they are to run as. */
import { type Text, text } from '../../base/index.ts';
import type { Command, Credentials, Exit, Host, Running } from '../../host/index.ts';
import type { Script, VrrpConfig } from '../../vrrp/index.ts';
import { type Accounts, credentialsOf } from './accounts.ts';

export type ScriptDefaults = Pick<VrrpConfig, 'scriptUser' | 'supplementaryGroups'>;

export class ScriptRunner {
  #defaults: ScriptDefaults;
  readonly #known = new Map<string, Credentials | Text>();
  readonly #host: Pick<Host, 'processes' | 'log'>;
  readonly #accounts: Accounts;

  constructor(defaults: ScriptDefaults, host: Pick<Host, 'processes' | 'log'>, accounts: Accounts) {
    this.#defaults = defaults;
    this.#host = host;
    this.#accounts = accounts;
  }
  /** At a reload names are looked up again. */
  use(defaults: ScriptDefaults): void {
    this.#defaults = defaults;
    this.#known.clear();
  }
  /** Undefined, and logged, where the user does not exist. */
  run(script: Script, added: readonly string[], exited: (e: Exit) => void): Running | undefined {
    const command = this.command(script, added);
    if ('argv' in command) return this.#host.processes.run(command, exited);
    const words = text(`${script.argv[0]} is not run: ${command.en}`, `未运行 ${script.argv[0]}：${command.zh}`);
    this.#host.log.write({ level: 'error', code: 'script.user', text: words });
    return undefined;
  }
  command(script: Script, added: readonly string[] = []): Command | Text {
    const key = `${script.user ?? ''}:${script.group ?? ''}`;
    let who = this.#known.get(key);
    if (who === undefined) {
      const found = credentialsOf(
        this.#accounts,
        script,
        this.#defaults.scriptUser,
        this.#defaults.supplementaryGroups,
      );
      who = found.ok ? found.value : found.error;
      this.#known.set(key, who);
    }
    return 'uid' in who ? { argv: [...script.argv, ...added], credentials: who } : who;
  }
}

export const exitText = (e: Exit): Text => {
  if ('code' in e) return text(`status ${e.code}`, `状态 ${e.code}`);
  if ('signal' in e) return text(`signal ${e.signal}`, `信号 ${e.signal}`);
  return text(`${e.failed.doing.en}: ${e.failed.code}`, `${e.failed.doing.zh}：${e.failed.code}`);
};
