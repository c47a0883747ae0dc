/** `holdfast explain NAME` */
import { text } from '../base/index.ts';
import { EXIT } from '../daemon/index.ts';
import { withStatus } from './reading.ts';
import { renderExplain } from './render.ts';

export const explain = (argv: readonly string[]): Promise<number> =>
  withStatus(argv, (d, a) => {
    const known = d.instances.map((i) => i.name).join(', ');
    const instance = d.instances.find((i) => i.name === a.names[0]);
    if (instance === undefined || a.names.length !== 1) {
      const words =
        a.names.length === 1
          ? text(`there is no ${a.names[0]}; there are: ${known}`, `没有 ${a.names[0]}；现有：${known}`)
          : text(`explain needs one name of: ${known}`, `explain 需要一个名称：${known}`);
      process.stderr.write(`holdfast: ${words[a.language]}\n`);
      return EXIT.wrong;
    }
    const transitions = d.transitions.filter((t) => t.name === instance.name);
    process.stdout.write(
      a.json ? `${JSON.stringify({ schema: 1, instance, transitions })}\n` : renderExplain(d, instance, a.language),
    );
    return EXIT.done;
  });
