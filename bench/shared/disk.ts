/** Disks to measure on: files. */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync } from 'node:fs';

const MIB = 1 << 20;

/** Every block written, past the page cache: what one leaves in there, others would have to drive out. */
export function writtenDisk(path: string, bytes: number): string {
  const argv = ['if=/dev/zero', `of=${path}`, 'bs=1M', `count=${bytes / MIB}`, 'oflag=direct', 'status=none'];
  execFileSync('dd', argv);
  return path;
}
/** Nothing but a hole. */
export function sparseDisk(path: string, bytes: number): string {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, bytes);
  closeSync(fd);
  return path;
}
