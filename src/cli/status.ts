/** `holdfast status [NAME...]` */
import { text } from '../base/index.ts';
import { EXIT } from '../daemon/index.ts';
import { withStatus } from './reading.ts';
import { renderStatus, troubles } from './render.ts';

export const status = (argv: readonly string[]): Promise<number> =>
  withStatus(argv, (d, a) => {
    const wanted = a.names.length === 0 ? d.instances : d.instances.filter((i) => a.names.includes(i.name));
    const unknown = a.names.filter((n) => !d.instances.some((i) => i.name === n));
    if (unknown.length > 0) {
      const words = text(`there is no ${unknown.join(', ')}`, `没有 ${unknown.join('、')}`);
      process.stderr.write(`holdfast: ${words[a.language]}\n`);
      return EXIT.wrong;
    }
    const document = { ...d, instances: wanted };
    process.stdout.write(a.json ? `${JSON.stringify(document)}\n` : renderStatus(document, Date.now(), a.language));
    return troubles(document).length === 0 ? EXIT.done : EXIT.degraded;
  });
