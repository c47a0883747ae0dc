/** An archive as the kernel unpacks it before anything else runs: `newc`, Documentation/driver-api/early-userspace/buffer-format.rst. */

export type CpioEntry = {
  /** Without the leading slash. */
  readonly path: string;
  /** File type and permissions as stat(2) has them: 0o040755 a folder, 0o100755 a program. */
  readonly mode: number;
  readonly bytes?: Uint8Array;
};

const padded = (n: number): number => (n + 3) & ~3;

/** Folders before what is in them. Not compressed: unpacking costs an emulated processor more than reading. */
export function cpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const put = (b: Uint8Array): void => {
    parts.push(b, new Uint8Array(padded(b.length) - b.length));
  };
  const entry = (e: CpioEntry, inode: number): void => {
    const name = `${e.path}\0`;
    const content = e.bytes ?? new Uint8Array(0);
    const links = 1;
    const fields = [inode, e.mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, Buffer.byteLength(name), 0];
    put(Buffer.from(`070701${fields.map((n) => n.toString(16).padStart(8, '0')).join('')}${name}`));
    put(content);
  };
  entries.forEach((e, i) => {
    entry(e, i + 1);
  });
  entry({ path: 'TRAILER!!!', mode: 0 }, 0);
  return Buffer.concat(parts);
}
