/** The checkers of this process, and what they need from the configuration. */
import { text } from '../../base/index.ts';
import type { CheckRunner, StartChecks } from '../../director/index.ts';
import type { Host } from '../../host/index.ts';
import type { Addon } from '../../host/linux/index.ts';
import type { ToDirector } from '../messages.ts';

type Settings = Pick<Extract<ToDirector, { kind: 'configure' }>, 'scripts' | 'files'>;

export class Checks {
  readonly #host: Host;

  constructor(_addon: Addon, host: Host, _settings: Settings) {
    this.#host = host;
  }
  readonly start: StartChecks = (): CheckRunner => ({
    set: (specs) => {
      if (specs.length === 0) return;
      const words = text(
        'checkers are not part of this build: servers are taken for good',
        '此版本不含健康检查：服务器均视为正常',
      );
      this.#host.log.write({ level: 'warning', code: 'director.no-checks', text: words });
    },
    close: () => {},
  });
  use(_settings: Settings): void {}
  bfd(_name: string, _up: boolean): void {}
}
