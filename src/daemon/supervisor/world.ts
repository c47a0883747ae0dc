/** What the supervisor needs from the first good configuration on: pid file, programs, notification, control socket. */
import type { ControlRequest } from '../../api/index.ts';
import { text } from '../../base/index.ts';
import type { Host } from '../../host/index.ts';
import { type PidPaths, removePidFile, writePidFile } from '../command/pidfile.ts';
import { type Control, serveControl, type Talk } from '../control-socket.ts';
import type { ReadConfig } from '../messages.ts';
import { Notifier } from '../notify/notifier.ts';
import type { Accounts } from '../scripts/accounts.ts';
import { ScriptRunner } from '../scripts/runner.ts';
import { runTimed } from '../scripts/timed.ts';
import { LazyMailer } from './lazy-mailer.ts';
import { parseRequest } from './requests.ts';
import { notifyConfig } from './shares.ts';

/** How long the end waits for `notify_stop` scripts (keepalived: 1 s) and for mail on its way. */
const STOP_SCRIPTS = 1000;
const LAST_MAIL = 2000;

export type SupervisorHost = Pick<Host, 'clock' | 'network' | 'sockets' | 'processes' | 'log'>;

export class World {
  readonly host: SupervisorHost;
  readonly runner: ScriptRunner;
  readonly notifier: Notifier;
  readonly #mailer: LazyMailer;
  readonly #control: Control;
  readonly paths: PidPaths;

  constructor(
    config: ReadConfig,
    paths: PidPaths,
    host: SupervisorHost,
    accounts: Accounts,
    answer: Talk<ControlRequest>['answer'],
  ) {
    this.host = host;
    this.paths = paths;
    this.runner = new ScriptRunner(config.vrrp, host, accounts);
    this.#mailer = new LazyMailer(host.log);
    this.notifier = new Notifier(notifyConfig(config), {
      host,
      accounts,
      runner: this.runner,
      mail: (m, c) => this.#mailer.send(m, c),
    });
    this.#control = serveControl(paths.socket, accounts, { parse: parseRequest, answer }, (words) =>
      host.log.write({ level: 'error', code: 'control.socket', text: words }),
    );
  }
  childStarted(which: 'vrrp' | 'checkers', pid: number): void {
    const path = this.paths[which];
    try {
      writePidFile(path, pid);
    } catch (e) {
      const why = (e as Error).message;
      const words = text(`cannot write pid file ${path}: ${why}`, `无法写入进程号文件 ${path}：${why}`);
      this.host.log.write({ level: 'error', code: 'daemon.pid-file', text: words });
    }
  }
  startup(config: ReadConfig, done: () => void): void {
    runTimed(text('the startup script', '启动脚本'), config.global.startupScript, this.runner, this.host, done);
  }
  /**
   * Waits for what is on its way, within limits, then the shutdown script, then removes every trace. `left`: services are in
   * the kernel that were not to stay; the director's pid file tells the next start, and `holdfast lb`.
   */
  async end(config: ReadConfig | undefined, { left }: { readonly left: boolean }): Promise<void> {
    await within(STOP_SCRIPTS, new Promise<void>((done) => this.notifier.whenStopScriptsEnded(done)));
    await within(LAST_MAIL, this.#mailer.idle());
    const shutdown = config?.global.shutdownScript;
    await new Promise<void>((done) =>
      runTimed(text('the shutdown script', '关闭脚本'), shutdown, this.runner, this.host, done),
    );
    await this.notifier.close();
    this.#control.close();
    removePidFile(this.paths.socket);
    removePidFile(this.paths.vrrp);
    if (!left) removePidFile(this.paths.checkers);
    removePidFile(this.paths.main);
  }
}

async function within(limit: number, what: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((done) => {
    timer = setTimeout(done, limit);
  });
  await Promise.race([what, late]);
  clearTimeout(timer);
}
