import { write, writeSync } from 'node:fs';
import type { Language } from '../../base/index.ts';
import type { Log, LogEvent, LogLevel } from '../index.ts';
import type { Addon } from './addon.ts';
import { AF_UNIX, SOCK_DGRAM, sockaddrUnix } from './sockaddr.ts';

const ORDER: readonly LogLevel[] = ['debug', 'info', 'notice', 'warning', 'error'];
/** Severities of RFC 5424 section 6.2.1. */
const SEVERITY: Readonly<Record<LogLevel, number>> = { debug: 7, info: 6, notice: 5, warning: 4, error: 3 };
/** Lines that wait for a slow reader; more are counted and dropped. */
const QUEUE = 1000;

export type ConsoleOptions = {
  /** File descriptor: 2 is the standard error output. */
  readonly fd: number;
  /** Code and fields behind the text. */
  readonly details: boolean;
};
export type SyslogOptions = {
  /** 0 kern .. 23 local7; 3 is daemon. */
  readonly facility: number;
  /** The program's name in front of each line. */
  readonly name: string;
  readonly details: boolean;
  /** A datagram socket; /dev/log unless told otherwise. */
  readonly path?: string;
};
export type LogOptions = {
  readonly language: Language;
  /** Below it nothing is written. */
  readonly least: LogLevel;
  readonly console?: ConsoleOptions;
  readonly syslog?: SyslogOptions;
};

/** One line, whatever the text holds: names and values may come from hostile packets. */
function line(e: LogEvent, language: Language, details: boolean): string {
  let out = e.text[language];
  if (details) {
    out += ` [${e.code}`;
    for (const k in e.fields) out += ` ${k}=${e.fields[k]}`;
    out += ']';
  }
  return out.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '\ufffd');
}

/**
 * Writes in the background: a terminal that was stopped or a full pipe would hold up whoever writes to it by itself.
 * One write is under way at a time, and takes along all lines that came meanwhile.
 */
class Background {
  readonly #fd: number;
  #waiting: string[] = [];
  /** A flush is planned or under way. */
  #busy = false;
  #writing = false;
  #dropped = 0;

  constructor(fd: number) {
    this.#fd = fd;
    // What an exit leaves unwritten is often the reason for it.
    process.on('exit', () => {
      const rest = this.#waiting.join('');
      // A write under way is done by another thread, whose end cannot be heard any more: it is given time to be first.
      if (rest !== '' && this.#writing) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
      try {
        if (rest !== '') writeSync(this.#fd, rest);
      } catch {
        // There is nobody left to tell.
      }
    });
  }
  put(text: string): void {
    if (this.#waiting.length >= QUEUE) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(text);
    if (this.#busy) return;
    this.#busy = true;
    // What is said in one turn goes out in one write, and in order even when the turn ends in an exit.
    queueMicrotask(() => this.#flush());
  }
  #flush(): void {
    if (this.#dropped > 0) {
      this.#waiting.push(`... ${this.#dropped} lines dropped / 丢弃 ${this.#dropped} 行\n`);
      this.#dropped = 0;
    }
    const bytes = Buffer.from(this.#waiting.join(''));
    this.#waiting = [];
    this.#writing = true;
    this.#write(bytes);
  }
  #write(bytes: Uint8Array): void {
    write(this.#fd, bytes, (e, n) => {
      if (!e && n < bytes.length) return this.#write(bytes.subarray(n));
      this.#writing = false;
      if (this.#waiting.length > 0) this.#flush();
      else this.#busy = false;
    });
  }
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (n: number): string => String(n).padStart(2, '0');
const clockTime = (t: Date): string => `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
/** RFC 3164 section 4.1.2: local time, the day padded with a blank. */
const stamp = (t: Date): string => `${MONTHS[t.getMonth()]} ${String(t.getDate()).padStart(2)} ${clockTime(t)}`;

/** Console, syslog, or both. Never waits; what cannot be written is dropped. */
export function linuxLog(addon: Addon, o: LogOptions): Log {
  const least = ORDER.indexOf(o.least);
  const background = o.console && new Background(o.console.fd);
  const socket = o.syslog ? addon.open(AF_UNIX, SOCK_DGRAM, 0) : -1;
  const name = sockaddrUnix(o.syslog?.path ?? '/dev/log');
  const encoder = new TextEncoder();
  return {
    write(e) {
      if (ORDER.indexOf(e.level) < least) return;
      const now = new Date();
      if (o.console) {
        const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
        const fraction = String(now.getMilliseconds()).padStart(3, '0');
        background?.put(`${day} ${clockTime(now)}.${fraction} ${e.level}: ${line(e, o.language, o.console.details)}\n`);
      }
      if (o.syslog && typeof socket !== 'number') {
        const { facility, name: program, details } = o.syslog;
        const head = `<${facility * 8 + SEVERITY[e.level]}>${stamp(now)} ${program}[${process.pid}]: `;
        // By address each time, so that a restarted syslog daemon is found again. A refusal has nowhere to be told.
        addon.send(socket, encoder.encode(head + line(e, o.language, details)), name, undefined, 0);
      }
    },
  };
}
