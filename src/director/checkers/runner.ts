/** Keeps every checker that the pool wants running. Thin: machine.ts says when, plan.ts says what, attempt.ts does it. */
import { formatSeconds, type Microseconds, type Text, text, us } from '../../base/index.ts';
import type { Cancel, Clock, Entropy, Files, Log } from '../../host/index.ts';
import type { CheckReport, CheckRunner, CheckSettings, CheckSpec } from '../check.ts';
import type { Secret } from '../config.ts';
import { type AttemptPorts, makeAttempt } from './attempt.ts';
import { FILE_LIMIT, judgeFile } from './file.ts';
import {
  type CheckerEvent,
  type CheckerState,
  checkerDeadline,
  type Outcome,
  type Schedule,
  startChecker,
  stepChecker,
} from './machine.ts';
import { type ActiveChecker, type AttemptContext, planAttempt, scheduleOf } from './plan.ts';
import { TlsFiles } from './tls-files.ts';

export type CheckPorts = AttemptPorts & {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly files: Files;
  readonly log: Log;
  /** Told at once how the session stands if it is known, and then of every change. */
  readonly bfd?: (session: string, changed: (up: boolean) => void) => Cancel;
};
/** Cryptographic where a protocol needs it: nonces and RADIUS authenticators are not guessable. */
export type RandomBytes = (n: number) => Uint8Array;

type Shared = Omit<AttemptContext, 'step' | 'attempt'>;
type Report = (r: CheckReport) => void;
/** What runs for one spec. */
interface Check {
  spec: CheckSpec;
  suspend(yes: boolean): void;
  close(): void;
}
const LONGEST_SECRET = 4096;

export function startCheckRunner(ports: CheckPorts, random: RandomBytes, report: Report): CheckRunner {
  const running = new Map<string, Check>();
  const tlsFiles = new TlsFiles(ports.files);
  const unasked = new Unasked(ports.log);

  const context: Shared = {
    random,
    secret: (s: Secret) => {
      if ('literal' in s) return s.literal;
      const b = ports.files.read(s.file, LONGEST_SECRET);
      return b && new TextDecoder().decode(b).split(/\r?\n/)[0];
    },
    tlsSettings: (o) => tlsFiles.settings(o),
  };
  const chance = (): number => (ports.entropy.u32() >>> 0) / 0x1_0000_0000;

  const start = (spec: CheckSpec): Check => {
    const { checker } = spec;
    switch (checker.kind) {
      case 'fixed':
        return new Told(spec, ports, report, (tell) => {
          tell(checker.up, checker.up ? text('not checked', '不检查') : text('not checked: off', '不检查：关闭'));
          return () => {};
        });
      case 'bfd':
        return new Told(spec, ports, report, (tell) => {
          if (ports.bfd)
            return ports.bfd(checker.session, (up) =>
              tell(up, up ? text('the session is up', '会话已建立') : text('the session is down', '会话已断开')),
            );
          tell(false, text(`BFD does not run here: ${checker.session}`, `此处未运行 BFD：${checker.session}`));
          return () => {};
        });
      case 'file':
        return new Told(spec, ports, report, (tell) => {
          const path = checker.path;
          const look = (): void => {
            const f = judgeFile(ports.files.read(path, FILE_LIMIT), checker.weight);
            tell(f.up, f.reason, f.weight);
          };
          const watching = ports.files.watch(path, look);
          if (!watching.ok) {
            const { doing, code } = watching.error;
            const words = text(`${doing.en}: ${code}`, `${doing.zh}：${code}`);
            ports.log.write({ level: 'error', code: 'check.file-watch', text: words });
          }
          look();
          return watching.ok ? watching.value : () => {};
        });
      default:
        return new Attempting(spec, checker, ports, context, chance, report, unasked);
    }
  };

  return {
    set(specs, shared: CheckSettings) {
      const changedTls = tlsFiles.use(shared.tls);
      const wanted = new Map(specs.map((s) => [s.id, s]));
      for (const [id, check] of running) {
        const spec = wanted.get(id);
        if (spec && !(changedTls && usesTls(spec)) && sameChecker(check.spec, spec)) continue;
        check.close();
        running.delete(id);
      }
      for (const spec of wanted.values()) {
        let check = running.get(spec.id);
        if (check) check.spec = spec;
        else {
          check = start(spec);
          running.set(spec.id, check);
        }
        check.suspend(spec.suspended);
      }
    },
    close() {
      for (const check of running.values()) check.close();
      running.clear();
    },
  };

  function sameChecker(a: CheckSpec, b: CheckSpec): boolean {
    return a.checker === b.checker || JSON.stringify(a.checker) === JSON.stringify(b.checker);
  }
  function usesTls(s: CheckSpec): boolean {
    const c = s.checker.kind === 'alternating' ? s.checker.full : s.checker;
    return 'tls' in c && c.tls;
  }
}

/** Checkers whose last attempt could not be made on this host: told of once, not once for each. */
class Unasked {
  readonly #log: Log;
  readonly #ids = new Set<string>();
  constructor(log: Log) {
    this.#log = log;
  }
  /** `why`: undefined where the server was asked, or the checker is gone. */
  note(id: string, why: Text | undefined): void {
    const before = this.#ids.size;
    if (why) this.#ids.add(id);
    else this.#ids.delete(id);
    if (why && before === 0)
      this.#log.write({
        level: 'error',
        code: 'check.unasked',
        text: text(
          `this host cannot make checks, and servers stay as they are: ${id}: ${why.en}`,
          `本机无法进行检查，各服务器保持原状：${id}：${why.zh}`,
        ),
      });
    else if (before > 0 && this.#ids.size === 0)
      this.#log.write({
        level: 'notice',
        code: 'check.asked',
        text: text('this host can make all checks again', '本机恢复全部检查'),
      });
  }
}

/** A checker that makes attempts. */
class Attempting implements Check {
  spec: CheckSpec;
  readonly #checker: ActiveChecker;
  readonly #schedule: Schedule;
  readonly #ports: CheckPorts;
  readonly #context: Shared;
  readonly #chance: () => number;
  readonly #report: Report;
  readonly #unasked: Unasked;
  #state: CheckerState;
  #attempts = 0;
  #began: Microseconds;
  #cancelTimer: Cancel = nothing;
  #cancelAttempt: Cancel = nothing;
  #closed = false;

  constructor(
    spec: CheckSpec,
    checker: ActiveChecker,
    ports: CheckPorts,
    context: Shared,
    chance: () => number,
    report: Report,
    unasked: Unasked,
  ) {
    this.spec = spec;
    this.#unasked = unasked;
    this.#checker = checker;
    this.#schedule = scheduleOf(checker);
    this.#ports = ports;
    this.#context = context;
    this.#chance = chance;
    this.#report = report;
    const now = ports.clock.now();
    this.#began = now;
    this.#state = startChecker(this.#schedule, spec.initial === 'up', chance(), now);
    this.#arm();
  }
  suspend(yes: boolean): void {
    if (yes === (this.#state.run.is === 'suspended')) return;
    this.#feed(yes ? { kind: 'suspend' } : { kind: 'resume', chance: this.#chance() });
  }
  close(): void {
    this.#closed = true;
    this.#unasked.note(this.spec.id, undefined);
    this.#cancelTimer();
    this.#cancelAttempt();
  }
  #arm(): void {
    this.#cancelTimer();
    const due = checkerDeadline(this.#state);
    this.#cancelTimer = due === undefined ? nothing : this.#ports.clock.at(due, this.#tick);
  }
  readonly #tick = (): void => this.#feed({ kind: 'tick' });

  #feed(e: CheckerEvent): void {
    const { state, effects } = stepChecker(this.#schedule, this.#state, e, this.#ports.clock.now());
    this.#state = state;
    this.#arm();
    for (const effect of effects) {
      if (effect.do === 'attempt') this.#attempt(effect.step);
      else if (effect.do === 'abandon') {
        this.#cancelAttempt();
        this.#cancelAttempt = nothing;
      } else this.#tell(effect.up, effect.turned, effect.outcome, effect.failures);
    }
  }
  #attempt(step: number): void {
    this.#began = this.#ports.clock.now();
    const plan = planAttempt(this.#checker, { ...this.#context, step, attempt: this.#attempts++ });
    this.#cancelAttempt = makeAttempt(plan, this.#ports, (f) => {
      this.#cancelAttempt = nothing;
      if (this.#closed) return;
      const latency = us(this.#ports.clock.now() - this.#began);
      this.#feed({ kind: 'finished', outcome: { ...f, latency } });
    });
  }
  #tell(up: boolean, turned: boolean, o: Outcome, failures: number): void {
    const { timing } = this.#checker;
    this.#unasked.note(this.spec.id, o.passed === undefined ? o.reason : undefined);
    if (o.passed === false && !turned && timing.logAllFailures) {
      const of = up ? ` (${failures}/${this.#schedule.retry + 1})` : '';
      const { en, zh } = o.reason;
      this.#ports.log.write({
        level: 'info',
        code: 'check.failed',
        text: text(`${this.spec.id}: ${en}${of}`, `${this.spec.id}：${zh}${of}`),
        fields: { check: this.spec.id, code: o.code, latency: formatSeconds(o.latency) },
      });
    }
    this.#report({
      id: this.spec.id,
      at: this.#ports.clock.now(),
      good: o.passed,
      verdict: up ? 'up' : 'down',
      failures,
      latency: o.latency,
      reason: o.reason,
      ...(o.weight && { weight: o.weight }),
    });
  }
}
const nothing = (): void => {};

/** A checker that is told: by a file, a BFD session, or by nobody. What it is told while suspended it says afterwards. */
class Told implements Check {
  spec: CheckSpec;
  readonly #ports: CheckPorts;
  readonly #report: Report;
  readonly #stop: Cancel;
  #last: { readonly up: boolean; readonly reason: Text; readonly weight: CheckReport['weight'] } | undefined;
  #said = '';
  #suspended: boolean;
  #failures = 0;
  #closed = false;
  #cancel: Cancel = nothing;

  constructor(
    spec: CheckSpec,
    ports: CheckPorts,
    report: Report,
    listen: (tell: (up: boolean, reason: Text, weight?: CheckReport['weight']) => void) => Cancel,
  ) {
    this.spec = spec;
    this.#ports = ports;
    this.#report = report;
    this.#suspended = spec.suspended;
    this.#stop = listen((up, reason, weight) => {
      this.#last = { up, reason, weight };
      this.#soon();
    });
  }
  suspend(yes: boolean): void {
    this.#suspended = yes;
    if (!yes) this.#soon();
  }
  close(): void {
    this.#closed = true;
    this.#cancel();
    this.#stop();
  }
  /** Never from within the call that told: the pool may be in the middle of its own work. */
  #soon(): void {
    const { clock } = this.#ports;
    this.#cancel();
    this.#cancel = clock.at(clock.now(), () => this.#say());
  }
  #say(): void {
    const last = this.#last;
    if (!last || this.#suspended || this.#closed) return;
    const words = JSON.stringify(last);
    if (words === this.#said) return;
    this.#said = words;
    this.#failures = last.up ? 0 : this.#failures + 1;
    this.#report({
      id: this.spec.id,
      at: this.#ports.clock.now(),
      good: last.up,
      verdict: last.up ? 'up' : 'down',
      failures: this.#failures,
      latency: undefined,
      reason: last.reason,
      ...(last.weight && { weight: last.weight }),
    });
  }
}
