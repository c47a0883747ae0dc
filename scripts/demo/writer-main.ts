/**
 * Writes records one after the other to a file, each durable before its number is printed: what was printed was promised.
 * Arguments: the file, and the number of the first record.
 */
import { fdatasyncSync, openSync, writeSync } from 'node:fs';

const [file = '', first = '1'] = process.argv.slice(2);
const fd = openSync(file, 'a');
for (let n = Number(first); ; n++) {
  writeSync(fd, `${String(n).padStart(63)}\n`);
  fdatasyncSync(fd);
  process.stdout.write(`${n}\n`);
  // Lets what was printed go out.
  await new Promise((r) => setImmediate(r));
}
