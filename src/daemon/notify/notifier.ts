/**
 * Tells the world of each event, in the order of events: FIFOs first, since they keep the order, then scripts (the
 * specific one before `notify`), then mail. It lives in the supervisor: starting a program costs milliseconds that the
 * beat process does not have.
 */
import { text } from '../../base/index.ts';
import type { PoolNotification } from '../../director/index.ts';
import type { Exit, Host } from '../../host/index.ts';
import type { Fifo, Mail, Notification, Script, VrrpConfig } from '../../vrrp/index.ts';
import type { Accounts } from '../scripts/accounts.ts';
import { exitText, type ScriptRunner } from '../scripts/runner.ts';
import { FifoWriter } from './fifo.ts';
import { FifoReader } from './fifo-reader.ts';
import type { Message } from './mail.ts';
import { mailText } from './mail-text.ts';

/** Which events' lines it is for. */
export type ToldFifo = Fifo & { readonly tells: { readonly vrrp: boolean; readonly checkers: boolean } };
type OpenFifo = {
  readonly tells: ToldFifo['tells'];
  readonly key: string;
  readonly writer: FifoWriter;
  readonly reader: FifoReader | undefined;
};
export type NotifyConfig = Pick<VrrpConfig, 'mail' | 'scriptUser' | 'supplementaryGroups' | 'routerId'> & {
  readonly fifos: readonly ToldFifo[];
};
export type NotifierOptions = {
  readonly host: Pick<Host, 'clock' | 'log'>;
  readonly accounts: Accounts;
  readonly runner: ScriptRunner;
  readonly mail: (m: Message, config: Mail) => void;
};

export class Notifier {
  #mail: Mail;
  #routerId: string;
  #fifos: readonly OpenFifo[] = [];
  /** Scripts of STOP events that have not ended. */
  #stopping = 0;
  #whenStopped: () => void = () => {};
  readonly #o: NotifierOptions;

  constructor(config: NotifyConfig, o: NotifierOptions) {
    this.#o = o;
    this.#mail = config.mail;
    this.#routerId = config.routerId;
    this.#openFifos(config.fifos);
  }

  use(config: NotifyConfig): void {
    this.#mail = config.mail;
    this.#routerId = config.routerId;
    this.#o.runner.use(config);
    this.#openFifos(config.fifos);
  }

  tell(n: Notification): void {
    for (const f of this.#fifos) if (f.tells.vrrp) f.writer.write(n.fifo);
    for (const script of n.scripts) this.#run(script, n.word === 'STOP');
    if (n.mail !== undefined) this.#o.mail({ subject: n.mail, text: mailText(n) }, this.#mail);
  }
  /** Of a virtual server, a real server or a checker. */
  tellOfPool(n: PoolNotification): void {
    if (n.fifo !== undefined) for (const f of this.#fifos) if (f.tells.checkers) f.writer.write(n.fifo);
    if (n.script) this.#run(n.script, false);
    if (n.mail === undefined || this.#mail.to.length === 0) return;
    this.#o.mail({ subject: `[${this.#routerId}] ${n.mail.subject}`, text: `${n.mail.body}\r\n\r\n` }, this.#mail);
  }
  /** Calls back when the scripts of STOP events have ended; the caller's own deadline bounds the wait. */
  whenStopScriptsEnded(done: () => void): void {
    if (this.#stopping === 0) done();
    else this.#whenStopped = done;
  }
  get lostLines(): number {
    return this.#fifos.reduce((n, f) => n + f.writer.dropped, 0);
  }
  /** Resolves when the readers of the FIFOs had time for the last lines. */
  async close(): Promise<void> {
    const open = this.#fifos;
    this.#fifos = [];
    await Promise.all(open.map(closeFifo));
  }

  #run(script: Script, stop: boolean): void {
    if (stop) this.#stopping++;
    const ended = (): void => {
      if (stop && --this.#stopping === 0) this.#whenStopped();
    };
    const running = this.#o.runner.run(script, [], (exit) => {
      this.#complain(script, exit);
      ended();
    });
    if (running === undefined) ended();
  }
  #complain(script: Script, exit: Exit): void {
    if ('code' in exit && exit.code === 0) return;
    const how = exitText(exit);
    const words = text(
      `notify script ${script.argv[0]} failed: ${how.en}`,
      `通知脚本 ${script.argv[0]} 失败：${how.zh}`,
    );
    this.#o.host.log.write({ level: 'warning', code: 'notify.script', text: words });
  }
  #openFifos(wanted: readonly ToldFifo[]): void {
    const { host, accounts, runner } = this.#o;
    const keyed = wanted.map((fifo) => ({ fifo, key: JSON.stringify(fifo) }));
    for (const f of this.#fifos) if (!keyed.some((k) => k.key === f.key)) void closeFifo(f);
    const kept = this.#fifos.filter((f) => keyed.some((k) => k.key === f.key));
    for (const { fifo, key } of keyed) {
      if (kept.some((k) => k.key === key)) continue;
      const owner = fifo.user === undefined ? undefined : accounts.user(fifo.user);
      const gid = fifo.group === undefined ? owner?.gid : accounts.group(fifo.group);
      const opened = FifoWriter.open({ path: fifo.path, uid: owner?.uid ?? 0, gid: gid ?? 0 }, host.log);
      if (!opened.ok) {
        host.log.write({ level: 'error', code: 'notify.fifo', text: opened.error });
        continue;
      }
      const reader = fifo.script && new FifoReader(fifo.path, fifo.script, runner, host);
      kept.push({ key, tells: fifo.tells, writer: opened.value, reader });
    }
    this.#fifos = kept;
  }
}

async function closeFifo(f: OpenFifo): Promise<void> {
  f.writer.close();
  await f.reader?.close();
}
