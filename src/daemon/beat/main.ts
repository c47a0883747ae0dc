/** The beat process: it judges time, so nothing else lives in it. It starts no programs and reads no configuration files. */
import { keepCompiled, parentPort } from '../channel.ts';
import type { FromBeat, ToBeat } from '../messages.ts';
import { Beat } from './beat.ts';

keepCompiled(); // before there are adverts that it could delay
const port = parentPort<FromBeat, ToBeat>();
const beat = new Beat(
  (m, sent) => port.send(m, sent),
  () => process.exit(0),
);
port.receive((m) => beat.receive(m));
// The supervisor is gone, and with it whoever would execute the will: hand over now.
port.closed(() => beat.abandoned());
// Signals are the supervisor's: a Ctrl-C on the console reaches the whole group.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) process.on(name, () => {});
process.title = 'holdfast keepalived: beat';
