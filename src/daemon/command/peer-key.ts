/** The key of the link between two directors, from its file. */
import { readFileSync } from 'node:fs';
import { err, ok, type Result, type Text, text } from '../../base/index.ts';

const SHORTEST_KEY = 16;
const LONGEST_KEY = 4096;

/** The bytes of the file, without a line end behind them. */
export function readPeerKey(file: string): Result<Uint8Array, Text> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(readFileSync(file)).subarray(0, LONGEST_KEY);
  } catch (e) {
    const code = (e as NodeJS.ErrnoException).code ?? 'EIO';
    return err(text(`--lb-peer-key ${file} cannot be read: ${code}`, `无法读取 --lb-peer-key ${file}：${code}`));
  }
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--;
  if (end < SHORTEST_KEY)
    return err(
      text(
        `--lb-peer-key ${file} has ${end} bytes; ${SHORTEST_KEY} are the least: head -c 32 /dev/urandom | base64 > ${file}`,
        `--lb-peer-key ${file} 只有 ${end} 字节，至少需要 ${SHORTEST_KEY}：head -c 32 /dev/urandom | base64 > ${file}`,
      ),
    );
  return ok(bytes.slice(0, end));
}
