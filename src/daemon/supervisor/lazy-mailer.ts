/** The mailer, whose library is loaded with the first mail: most daemons never send one. */
import { text } from '../../base/index.ts';
import type { Log } from '../../host/index.ts';
import type { Mail } from '../../vrrp/index.ts';
import type { Mailer, Message } from '../notify/mail.ts';

export class LazyMailer {
  #mailer: Promise<Mailer> | undefined;
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }
  send(m: Message, config: Mail): void {
    this.#mailer ??= import('../notify/mail.ts').then(({ Mailer }) => new Mailer(config, this.#log));
    this.#mailer.then(
      (mailer) => {
        mailer.use(config);
        mailer.send(m);
      },
      (e: Error) => {
        this.#mailer = undefined; // what was missing may be there the next time
        const words = text(`mail "${m.subject}" is not sent: ${e.message}`, `邮件“${m.subject}”未发送：${e.message}`);
        this.#log.write({ level: 'warning', code: 'notify.mail', text: words });
      },
    );
  }
  /** Resolves when nothing is left to send. */
  async idle(): Promise<void> {
    const mailer = await this.#mailer?.catch(() => undefined);
    await mailer?.idle();
  }
}
