/** Notification mail over plain SMTP, one after the other in the order of events. Loaded only when there is mail to send. */
import { createTransport } from 'nodemailer';
import { text } from '../../base/index.ts';
import type { Log } from '../../host/index.ts';
import type { Mail } from '../../vrrp/index.ts';

export type Message = { readonly subject: string; readonly text: string };

/** A relay that does not answer must not eat memory: the oldest news are worth least. */
const QUEUE = 100;

export class Mailer {
  #config: Mail;
  readonly #log: Log;
  readonly #queue: Message[] = [];
  #sending: Promise<void> | undefined;
  dropped = 0;

  constructor(config: Mail, log: Log) {
    this.#config = config;
    this.#log = log;
  }
  use(config: Mail): void {
    this.#config = config;
  }
  send(m: Message): void {
    this.#queue.push(m);
    if (this.#queue.length > QUEUE) {
      this.#queue.shift();
      this.dropped++;
    }
    this.#sending ??= this.#drain().finally(() => {
      this.#sending = undefined;
    });
  }
  /** Resolves when nothing is left to send. */
  async idle(): Promise<void> {
    await this.#sending;
  }
  async #drain(): Promise<void> {
    for (let m = this.#queue.shift(); m !== undefined; m = this.#queue.shift()) {
      const { server, helo, from, to, connectTimeout } = this.#config;
      if (server === undefined || to.length === 0) continue;
      const wait = connectTimeout / 1000;
      const transport = createTransport({
        host: server.host,
        port: server.port,
        name: helo,
        secure: false,
        ignoreTLS: true,
        connectionTimeout: wait,
        greetingTimeout: wait,
        socketTimeout: wait,
      });
      try {
        await transport.sendMail({ from, to: [...to], subject: m.subject, text: m.text, xMailer: 'Holdfast' });
      } catch (e) {
        const why = e instanceof Error ? e.message : String(e);
        const where = `${server.host}:${server.port}`;
        const words = text(
          `mail "${m.subject}" was not taken by ${where}: ${why}`,
          `邮件“${m.subject}”未被 ${where} 接收：${why}`,
        );
        this.#log.write({ level: 'warning', code: 'notify.mail', text: words });
      } finally {
        transport.close();
      }
    }
  }
}
