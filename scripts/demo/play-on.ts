/** The end of a demo at a terminal: the lab goes on, and what to type is said. */
import { text } from '../../src/base/index.ts';
import { type Lab, offer } from '../../src/lab/index.ts';
import type { Teller } from './story.ts';

/** Until Ctrl-C, or `npm run lab -- down`. `commands`: what follows `npm run lab --`. */
export async function playOn(lab: Lab, t: Teller, commands: readonly string[]): Promise<void> {
  const offered = await offer(lab);
  t.line();
  t.line(text('Play on, in another terminal of this machine:', '继续试验，请在本机的另一个终端输入：'));
  for (const command of commands) t.line(text(`  npm run lab -- ${command}`, `  npm run lab -- ${command}`));
  t.line(text('Ctrl-C ends the lab; nothing is left behind.', '按 Ctrl-C 结束实验环境，不会留下任何东西。'));
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  await Promise.race([interrupted, offered.ended]);
  offered.close();
}
