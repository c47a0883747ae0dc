/**
 * Files that root writes where others may write too (/tmp above all). A link that somebody laid in the way is never
 * followed, readers see the old content or the new and never a part, and only root reads what may hold secrets.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, lstatSync, openSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/** Throws the system's error, or one that says what stands in the way. `mode` is cut by the umask. */
export function replaceFile(path: string, content: string, mode = 0o600): void {
  refuseSpecial(path);
  const beside = writeBeside(path, content, mode);
  try {
    renameSync(beside, path);
  } catch (e) {
    unlinkSync(beside);
    throw e;
  }
}

/** Writes a new file in the same folder and returns its path, for the caller to move into place. Nothing stays when it fails. */
export function writeBeside(path: string, content: string, mode: number): string {
  const beside = `${path}.${randomBytes(6).toString('hex')}`;
  const fd = openSync(beside, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, mode);
  try {
    writeFileSync(fd, content);
  } catch (e) {
    unlinkSync(beside);
    throw e;
  } finally {
    closeSync(fd);
  }
  return beside;
}

/** Throws where a rename would take the place of a device such as /dev/null, or of a link that leads where somebody else wants. */
export function refuseSpecial(path: string): void {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined || there.isFile()) return;
  throw new Error(there.isSymbolicLink() ? 'is a symbolic link, which is not followed' : 'is not a regular file');
}
