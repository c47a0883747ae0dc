/** The first attempt of a checker over Linux's own ports. */
import { randomBytes } from 'node:crypto';
import { invariant, seconds, us } from '../../src/base/index.ts';
import { type Checker, type CheckReport, type CheckSettings, startCheckRunner } from '../../src/director/index.ts';
import { linuxClock, linuxFiles, linuxProcesses, linuxStreams, loadAddon } from '../../src/host/linux/index.ts';
import { ip } from '../support/wire.ts';

export const timing = {
  interval: seconds(1),
  retry: 0,
  retryDelay: seconds(1),
  warmup: us(0),
  alpha: false,
  logAllFailures: false,
};
/** Of what answers: a busy machine may need long. */
const PATIENCE = seconds(30);
export const at = (port: number, o: object = {}) => ({ address: ip('127.0.0.1'), port, timeout: PATIENCE, ...o });

export function first(checker: Checker, tls?: CheckSettings['tls']): Promise<CheckReport> {
  const addon = loadAddon();
  invariant(addon.ok, 'npm run setup builds the addon');
  const processes = linuxProcesses(addon.value);
  return new Promise((resolve) => {
    const runner = startCheckRunner(
      {
        clock: linuxClock(addon.value),
        streams: linuxStreams(addon.value),
        files: linuxFiles,
        entropy: { u32: () => 0 },
        log: { write: () => {} },
        run: (s, exited) => processes.run({ argv: s.argv }, exited),
      },
      randomBytes,
      (r) => {
        runner.close();
        resolve(r);
      },
    );
    runner.set([{ id: 'x', service: 's', server: 'r', checker, initial: 'up', suspended: false }], tls ? { tls } : {});
  });
}
/** `up: connected` */
export const said = async (checker: Checker, tls?: CheckSettings['tls']): Promise<string> => {
  const r = await first(checker, tls);
  return `${r.verdict}: ${r.reason.en}`;
};
