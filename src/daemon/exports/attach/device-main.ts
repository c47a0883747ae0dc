/**
 * A process of its own for what may wait for the device: opening and closing it. Who serves a device must never do so, since
 * what it waited for would be itself.
 *
 *   FILE BLOCKSIZE ro|rw   prints the loop device, keeps it while standard input is open
 */
import { becomeIoFlusher, openLoop } from '../../../host/linux/index.ts';

const [file = '', blockSize = '', mode = ''] = process.argv.slice(2);
becomeIoFlusher();
const made = openLoop(file, { blockSize: Number(blockSize), readOnly: mode === 'ro' });
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
