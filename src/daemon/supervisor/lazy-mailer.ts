/** The mailer, whose library is loaded with the first mail: most daemons never send one. */
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
    void this.#mailer.then((mailer) => {
      mailer.use(config);
      mailer.send(m);
    });
  }
  async idle(): Promise<void> {
    await (await this.#mailer)?.idle();
  }
}
