/** The ledger of IPVS where others may write too (`-p /tmp/x.pid` puts it there): replaced as a whole, no link followed, no other user's believed. */
import { lstatSync } from 'node:fs';
import { err, ok, text } from '../../base/index.ts';
import { fileLedger, type Ledger } from '../../director/index.ts';
import type { Files } from '../../host/index.ts';
import { replaceFile } from '../safe-file.ts';

const OTHERS_MAY_WRITE = 0o022;

/** What somebody else wrote would name services of others as ours, and we would remove them. */
function ours(path: string): boolean {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return false;
  return there.isFile() && there.uid === process.geteuid?.() && (there.mode & OTHERS_MAY_WRITE) === 0;
}

export const safeLedger = (files: Pick<Files, 'read'>, path: string): Ledger =>
  fileLedger(
    {
      read: (p, limit) => (ours(p) ? files.read(p, limit) : undefined),
      write: (p, bytes) => {
        try {
          replaceFile(p, new TextDecoder().decode(bytes));
          return ok(undefined);
        } catch (e) {
          const { code, message } = e as NodeJS.ErrnoException;
          const why = code === undefined ? `: ${message}` : '';
          return err({ code: code ?? 'EPERM', doing: text(`write ${p}${why}`, `写入 ${p}${why}`) });
        }
      },
    },
    path,
  );
