/** A script that is waited for, but not for ever: startup and shutdown scripts. */
import { type Microseconds, type Text, text, us } from '../../base/index.ts';
import type { Host } from '../../host/index.ts';
import type { Script } from '../../vrrp/index.ts';
import { exitText, type ScriptRunner } from './runner.ts';

export type TimedScript = { readonly script: Script; readonly timeout: Microseconds };

/** `done` is called once: at the end of the script or of its time. What went wrong is logged; nothing depends on it. */
export function runTimed(
  what: Text,
  timed: TimedScript | undefined,
  runner: ScriptRunner,
  host: Pick<Host, 'clock' | 'log'>,
  done: () => void,
): void {
  if (timed === undefined) {
    done();
    return;
  }
  let open = true;
  const finish = (how: Text | undefined): void => {
    if (!open) return;
    open = false;
    cancel();
    if (how) {
      const words = text(`${what.en} ${how.en}`, `${what.zh}${how.zh}`);
      host.log.write({ level: 'error', code: 'script.timed', text: words });
    }
    done();
  };
  const cancel = host.clock.at(us(host.clock.now() + timed.timeout), () => {
    running?.signal('SIGKILL');
    const limit = timed.timeout / 1_000_000;
    finish(text(`was ended after its ${limit} s`, `超过 ${limit} 秒，已被终止`));
  });
  const running = runner.run(timed.script, [], (exit) => {
    const how = exitText(exit);
    finish('code' in exit && exit.code === 0 ? undefined : text(`failed: ${how.en}`, `失败：${how.zh}`));
  });
  if (running === undefined) finish(undefined);
}
