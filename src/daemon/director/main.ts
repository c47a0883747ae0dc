/**
 * The director process: virtual servers and their checkers. Nothing in it can delay an advertisement. It starts the
 * programs of MISC_CHECK itself, hundreds a second where so configured; scripts, FIFOs and mail that tell of changes are
 * the supervisor's, which keeps their order with those of VRRP.
 */
import { keepCompiled, parentPort } from '../channel.ts';
import type { FromDirector, ToDirector } from '../messages.ts';
import { DirectorProcess } from './process.ts';

keepCompiled();
const port = parentPort<FromDirector, ToDirector>();
const director = new DirectorProcess(
  (m, sent) => port.send(m, sent),
  () => process.exit(0),
);
port.receive((m) => director.receive(m));
port.closed(() => director.abandoned());
// Signals are the supervisor's: a Ctrl-C on the console reaches the whole group.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) process.on(name, () => {});
process.title = 'holdfast keepalived: director';
