/**
 * A process of its own for what may wait for the device: opening, closing and looking at it. Who serves a device must never
 * do so, since what it waited for would be itself.
 *
 *   loop FILE BLOCKSIZE ro|rw   prints the device, keeps it while standard input is open
 *   uses NAME DEVICE            prints who uses it, as JSON in both languages, or nothing
 */
import { becomeIoFlusher, openLoop } from '../../../host/linux/index.ts';
import { usesOf } from './register.ts';

const [what, a = '', b = '', c = ''] = process.argv.slice(2);
if (what === 'uses') {
  const uses = usesOf(a, b);
  process.stdout.write(uses === undefined ? '' : JSON.stringify(uses));
} else {
  becomeIoFlusher();
  const made = openLoop(a, { blockSize: Number(b), readOnly: c === 'ro' });
  if (!made.ok) {
    process.stderr.write(`${made.error.doing.en}: ${made.error.code}\n`);
    process.exit(1);
  }
  process.stdout.write(`${made.value.path}\n`);
  process.on('SIGTERM', () => {});
  process.on('SIGINT', () => {});
  process.stdin.on('end', () => {
    made.value.close();
    process.exit(0);
  });
  process.stdin.resume();
}
