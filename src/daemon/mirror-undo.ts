/** Reads undo files: what is in one, and its blocks written into an image. */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { crc32c, err, ok, type Result, type Text, text } from '../base/index.ts';
import {
  decodeUndoHeader,
  decodeUndoRecord,
  UNDO_HEADER_BYTES,
  UNDO_RECORD_BYTES,
  type UndoHeader,
} from '../mirror/index.ts';

export type UndoRange = { readonly from: number; readonly to: number };
export type UndoContents = {
  readonly header: UndoHeader;
  /** In bytes of the volume, in order, adjacent ones as one. */
  readonly ranges: readonly UndoRange[];
  /** Bytes of data. */
  readonly total: number;
};

/** The whole file is read, and every checksum compared. `block` is given each piece, which it must not keep. */
export function readUndo(
  path: string,
  block: (offset: number, data: Uint8Array) => void = () => {},
): Result<UndoContents, Text> {
  const bad = (en: string, zh: string): Result<never, Text> => err(text(`${path}: ${en}`, `${path}：${zh}`));
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (e) {
    const { code = '' } = e as NodeJS.ErrnoException;
    return bad(code, code);
  }
  try {
    let at = 0;
    const next = (length: number): Uint8Array => {
      const out = new Uint8Array(length);
      const n = readSync(fd, out, 0, length, at);
      at += n;
      return out.subarray(0, n);
    };
    const header = decodeUndoHeader(next(UNDO_HEADER_BYTES));
    if (!header.ok) return bad(`no undo file (${header.error.kind})`, `不是撤销文件（${header.error.kind}）`);
    const size = Number(header.value.size);
    const ranges: { from: number; to: number }[] = [];
    let total = 0;
    for (let records = 0; ; records++) {
      const where = at;
      const r = decodeUndoRecord(next(UNDO_RECORD_BYTES));
      if (!r.ok)
        return bad(
          `damaged or cut off at byte ${where} (${r.error.kind})`,
          `在字节 ${where} 处损坏或截断（${r.error.kind}）`,
        );
      if (r.value.kind === 'end') {
        if (r.value.records !== records || r.value.total !== BigInt(total) || header.value.total !== BigInt(total))
          return bad('blocks are missing', '缺少数据块');
        if (fstatSync(fd).size !== at) return bad('something follows its end', '结尾之后还有内容');
        return ok({ header: header.value, ranges, total });
      }
      const offset = Number(r.value.offset);
      const data = next(r.value.length);
      if (data.length !== r.value.length || crc32c(data) !== r.value.crc)
        return bad(`the blocks at ${offset} are damaged`, `位于 ${offset} 的数据块已损坏`);
      if (!Number.isSafeInteger(offset) || offset + data.length > size)
        return bad(`blocks at ${offset} are outside of the volume`, `位于 ${offset} 的数据块超出卷的范围`);
      block(offset, data);
      total += data.length;
      const last = ranges.at(-1);
      if (last?.to === offset) last.to = offset + data.length;
      else ranges.push({ from: offset, to: offset + data.length });
    }
  } finally {
    closeSync(fd);
  }
}

/** Writes the blocks to their places in a new sparse image of the volume's size; the file is checked before. */
export function extractUndo(path: string, image: string): Result<UndoContents, Text> {
  const checked = readUndo(path);
  if (!checked.ok) return checked;
  let fd: number;
  try {
    fd = openSync(image, 'wx', 0o600);
  } catch (e) {
    const { code = '' } = e as NodeJS.ErrnoException;
    return err(
      code === 'EEXIST'
        ? text(`${image} is there already: name a new file`, `${image} 已存在：请指定新文件`)
        : text(`${image}: ${code}`, `${image}：${code}`),
    );
  }
  try {
    ftruncateSync(fd, Number(checked.value.header.size));
    return readUndo(path, (offset, data) => {
      for (let n = 0; n < data.length; ) n += writeSync(fd, data, n, data.length - n, offset + n);
    });
  } catch (e) {
    const { code = String(e) } = e as NodeJS.ErrnoException;
    return err(text(`${image}: ${code}`, `${image}：${code}`));
  } finally {
    closeSync(fd);
  }
}
