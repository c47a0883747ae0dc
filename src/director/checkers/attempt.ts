/** Makes one attempt over the host's ports, and tells once what was found. Decides nothing: see plan.ts. */
import { type Microseconds, type Text, text, unreachable, us } from '../../base/index.ts';
import type { Cancel, Clock, Exit, HostError, Running, Stream, Streams } from '../../host/index.ts';
import type { DirectorScript } from '../config.ts';
import { Dialogue, type Finding, fail, failedWith } from './conversation.ts';
import { type AttemptPlan, CONNECTED, patience } from './plan.ts';

export type AttemptPorts = {
  readonly clock: Clock;
  readonly streams: Streams;
  /** Starts a program as the user it names. `exited` is called later, also where it could not be started. */
  readonly run: (s: DirectorScript, exited: (e: Exit) => void) => Running;
};

const KILL_AFTER = 2_000_000;
/** Of an HTTP/2 answer that is kept. */
const LONGEST_ANSWER = 4 << 20;

const REASONS: Readonly<Record<string, Text>> = {
  ECONNREFUSED: text('connection refused', '连接被拒绝'),
  ECONNRESET: text('connection reset by the server', '连接被服务器重置'),
  EHOSTUNREACH: text('no route to the host', '主机不可达'),
  ENETUNREACH: text('network unreachable', '网络不可达'),
  ETIMEDOUT: text('the kernel gave up: no answer', '内核放弃：无应答'),
  ENODEV: text('no such interface', '没有该接口'),
  EADDRNOTAVAIL: text('the source address or port is not to be had on this host', '本机没有该源地址或可用端口'),
  EMFILE: text('this process has too many files open', '本进程打开的文件过多'),
  ENFILE: text('this host has too many files open', '本机打开的文件过多'),
};
const errorFinding = (e: HostError): Finding =>
  failedWith(e.code, REASONS[e.code] ?? text(`${e.doing.en}: ${e.code}`, `${e.doing.zh}：${e.code}`));
const seconds = (t: Microseconds): string => String(t / 1_000_000);
const silent = (t: Microseconds): Finding =>
  fail('timeout', text(`no answer within ${seconds(t)} s`, `${seconds(t)} 秒内无应答`));
const unconnected = (t: Microseconds): Finding =>
  fail('timeout', text(`not connected within ${seconds(t)} s`, `${seconds(t)} 秒内未能连接`));
const dribbling = (t: Microseconds): Finding =>
  fail('timeout', text(`the answer was not complete after ${seconds(t)} s`, `${seconds(t)} 秒后应答仍不完整`));

/**
 * A wait that is put off by whatever is heard. Hearing something costs nothing: the timer fires at the old time, and
 * is set anew. What has come is read before the silence is judged, and time in which this process did not run is not
 * counted against the server.
 */
class Patience {
  readonly #ports: Pick<AttemptPorts, 'clock' | 'streams'>;
  readonly #timeout: Microseconds;
  readonly #over: () => void;
  #due: number;
  #cancel: Cancel;
  #ended = false;
  #excused = false;
  constructor(ports: Pick<AttemptPorts, 'clock' | 'streams'>, timeout: Microseconds, over: () => void) {
    this.#ports = ports;
    this.#timeout = timeout;
    this.#over = over;
    this.#due = ports.clock.now() + timeout;
    this.#cancel = this.#arm();
  }
  heard(now: Microseconds): void {
    this.#due = now + this.#timeout;
    this.#excused = false;
  }
  #arm(): Cancel {
    return this.#ports.clock.at(us(this.#due), () => this.#fired());
  }
  #fired(): void {
    const { clock, streams } = this.#ports;
    const late = clock.now() - this.#due;
    streams.drain();
    if (this.#ended) return;
    if (clock.now() >= this.#due) {
      // Once: a process that is always late must still find out about dead servers.
      if (this.#excused || late * LATE < this.#timeout) {
        this.#over();
        return;
      }
      this.#excused = true;
      this.#due = clock.now() + Math.min(late, this.#timeout);
    }
    this.#cancel = this.#arm();
  }
  end(): void {
    this.#ended = true;
    this.#cancel();
  }
}
/** A timer that fires later than this part of the timeout says that this process did not run. */
const LATE = 4;

/** `done` is called once and later, never after the result was called. */
export function makeAttempt(plan: AttemptPlan, ports: AttemptPorts, done: (f: Finding) => void): Cancel {
  switch (plan.by) {
    case 'nothing': {
      const { clock } = ports;
      return clock.at(clock.now(), () => done(plan.finding));
    }
    case 'connect':
      return connects(plan, ports, done);
    case 'stream':
      return converses(plan, ports, done);
    case 'datagram':
      return asks(plan, ports, done);
    case 'http2':
      return requests(plan, ports, done);
    case 'program':
      return runs(plan, ports, done);
    default:
      return unreachable(plan);
  }
}
type Of<K extends AttemptPlan['by']> = Extract<AttemptPlan, { readonly by: K }>;

function connects(p: Of<'connect'>, { clock, streams }: AttemptPorts, done: (f: Finding) => void): Cancel {
  const finish = (f: Finding): void => {
    stop();
    done(f);
  };
  const stream = streams.connect(p.target, undefined, {
    opened: () => finish(CONNECTED),
    received: () => {},
    ended: () => {},
    failed: (e) => finish(errorFinding(e)),
  });
  const wait = new Patience({ clock, streams }, p.timeout, () => finish(unconnected(p.timeout)));
  const stop = (): void => {
    wait.end();
    stream.close();
  };
  return stop;
}

function converses(p: Of<'stream'>, { clock, streams }: AttemptPorts, done: (f: Finding) => void): Cancel {
  const dialogue = new Dialogue(p.conversation);
  const until = clock.now() + patience(p.timeout);
  let opened = false;
  const finish = (f: Finding): void => {
    stop();
    done(f);
  };
  const goOn = (out: readonly Uint8Array[]): void => {
    for (const bytes of out) stream.send(bytes);
    if (dialogue.finding) finish(dialogue.finding);
  };
  const stream: Stream = streams.connect(p.target, p.tls, {
    opened() {
      opened = true;
      wait.heard(clock.now());
      if (p.conversation.send) stream.send(p.conversation.send);
    },
    received(bytes) {
      const now = clock.now();
      wait.heard(now);
      const out = dialogue.received(bytes);
      if (!dialogue.finding && now >= until) finish(dribbling(patience(p.timeout)));
      else goOn(out);
    },
    ended: () => goOn(dialogue.ended()),
    // A reset in place of an orderly end: what had come may still be a whole answer.
    failed(e) {
      if (opened && e.code === 'ECONNRESET') dialogue.ended();
      finish(dialogue.finding?.passed ? dialogue.finding : errorFinding(e));
    },
  });
  const wait = new Patience({ clock, streams }, p.timeout, () =>
    finish(opened ? silent(p.timeout) : unconnected(p.timeout)),
  );
  const stop = (): void => {
    wait.end();
    stream.close();
  };
  return stop;
}

function asks(p: Of<'datagram'>, { clock, streams }: AttemptPorts, done: (f: Finding) => void): Cancel {
  const finish = (f: Finding): void => {
    stop();
    done(f);
  };
  const stream: Stream = streams.connect(p.target, undefined, {
    opened: () => stream.send(p.request),
    received(bytes) {
      const f = p.judge(bytes);
      if (f) finish(f);
    },
    ended: () => {},
    failed: (e) => finish(errorFinding(e)),
  });
  const wait = new Patience({ clock, streams }, p.timeout, () => finish(p.silence ?? silent(p.timeout)));
  const stop = (): void => {
    wait.end();
    stream.close();
  };
  return stop;
}

function requests(p: Of<'http2'>, { clock, streams }: AttemptPorts, done: (f: Finding) => void): Cancel {
  const until = clock.now() + patience(p.timeout);
  const parts: Uint8Array[] = [];
  let kept = 0;
  let status = 0;
  let headers: Readonly<Record<string, string>> = {};
  const finish = (f: Finding): void => {
    stop();
    done(f);
  };
  const cancelRequest = streams.http2(p.target, p.tls, p.request, {
    answered(s, h) {
      wait.heard(clock.now());
      status = s;
      headers = h;
    },
    received(bytes) {
      const now = clock.now();
      wait.heard(now);
      kept += bytes.length;
      if (kept > LONGEST_ANSWER) finish(fail('too-long', text('the answer is too long', '应答过长')));
      else if (now >= until) finish(dribbling(patience(p.timeout)));
      else parts.push(bytes.slice());
    },
    ended(trailers) {
      const body = new Uint8Array(kept);
      let at = 0;
      for (const part of parts) {
        body.set(part, at);
        at += part.length;
      }
      finish(p.judge({ status, headers, body, trailers }));
    },
    failed: (e) => finish(errorFinding(e)),
  });
  const wait = new Patience({ clock, streams }, p.timeout, () => finish(silent(p.timeout)));
  const stop = (): void => {
    wait.end();
    cancelRequest();
  };
  return stop;
}

function runs(p: Of<'program'>, { clock, run }: AttemptPorts, done: (f: Finding) => void): Cancel {
  let late = false;
  let told = false;
  const finish = (f: Finding): void => {
    if (told) return;
    told = true;
    cancel();
    done(f);
  };
  const tooLong = fail(
    'timeout',
    text(`it ran longer than ${seconds(p.timeout)} s`, `运行超过 ${seconds(p.timeout)} 秒`),
  );
  let ended = false;
  const program = run(p.script, (e) => {
    ended = true;
    finish(late ? tooLong : p.judge(e));
  });
  const kill = (then: () => void): Cancel => {
    program.signal('SIGTERM');
    return clock.at(us(clock.now() + KILL_AFTER), () => {
      if (!ended) program.signal('SIGKILL');
      then();
    });
  };
  let cancel = clock.at(us(clock.now() + p.timeout), () => {
    late = true;
    cancel = kill(() => finish(tooLong));
  });
  return () => {
    if (told) return;
    told = true;
    cancel();
    if (!ended) kill(() => {});
  };
}
