import { closeSync, constants, type FSWatcher, openSync, readSync, watch, writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { err, ok, text } from '../../base/index.ts';
import type { Files } from '../index.ts';
import { systemError } from './system-error.ts';

const { O_CREAT, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

/** Synchronous, for small files. A FIFO is never waited for: without a reader `write` answers ENXIO, with a full one EAGAIN. */
export const linuxFiles: Files = {
  read(path, limit) {
    let fd: number | undefined;
    try {
      fd = openSync(path, O_RDONLY | O_NONBLOCK);
      const out = new Uint8Array(limit);
      let length = 0;
      while (length < limit) {
        const n = readSync(fd, out, length, limit - length, null);
        if (n === 0) break;
        length += n;
      }
      return out.slice(0, length);
    } catch (e) {
      systemError(e, text(`read ${path}`, `读取 ${path}`));
      return undefined;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  },
  write(path, bytes, o) {
    const doing = text(`write ${path}`, `写入 ${path}`);
    let fd: number | undefined;
    try {
      fd = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, o?.mode ?? 0o644);
      let done = 0;
      while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done);
      return ok(undefined);
    } catch (e) {
      return err(systemError(e, doing));
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  },
  watch(path, changed) {
    const name = basename(path);
    let watcher: FSWatcher;
    try {
      // The directory, since a watch on the file itself follows the old inode when the file is replaced.
      watcher = watch(dirname(path), (_, file) => {
        if (file === null || file === name) changed();
      });
    } catch (e) {
      return err(systemError(e, text(`watch ${path}`, `监视 ${path}`)));
    }
    watcher.on('error', changed);
    return ok(() => watcher.close());
  },
};
