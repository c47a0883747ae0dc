/** Writes undo files: each step is done off the event loop, answered once, and nothing bears its final name before it is durable. */
import { type FileHandle, mkdir, open, rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type Text, text } from '../../base/index.ts';
import type { ResourceEffect } from '../../mirror/index.ts';

type Step = Extract<ResourceEffect, { readonly kind: 'undo' }>['step'];
type Answer = (failed: Text | undefined, file: string | undefined) => void;
type Open = { readonly handle: FileHandle; readonly folder: string; readonly file: string };
/** Left free for others. Bytes. */
const SPARE = 1 << 20;
const OWNER_ONLY = 0o600;
const FOLDER_MODE = 0o700;
const NO_FILE = text('no file is open', '没有打开的文件');

export class UndoFiles {
  readonly #open = new Map<number, Open>();
  /** Steps of all volumes come one after the other: a drop that overtook a write would leave the file. */
  #last: Promise<void> = Promise.resolve();
  readonly #wall: () => number;

  constructor(wall: () => number) {
    this.#wall = wall;
  }
  /** `volume` undefined: of none. */
  run(volume: number | undefined, step: Step, answer: Answer): void {
    this.#last = this.#last.then(async () => {
      let failed: Text | undefined;
      let file: string | undefined;
      try {
        file = await this.#do(volume ?? -1, step);
      } catch (e) {
        failed =
          e instanceof Refused ? e.words : reason(e, 'folder' in step ? step.folder : this.#pathOf(volume ?? -1));
      }
      answer(failed, file);
    });
  }
  #pathOf(volume: number): string {
    return this.#open.get(volume)?.file ?? '';
  }
  async #do(volume: number, step: Step): Promise<string | undefined> {
    switch (step.is) {
      case 'room':
        await room(step.folder, step.need);
        return undefined;
      case 'open': {
        await room(step.folder, step.need);
        const file = join(step.folder, `${fileName(step.name)}-${volume}-${stamp(this.#wall())}.undo`);
        const handle = await open(part(file), 'wx', OWNER_ONLY);
        this.#open.set(volume, { handle, folder: step.folder, file });
        await handle.writev([step.header]);
        return file;
      }
      case 'append':
        await writeAll(this.#of(volume).handle, step.bytes);
        return undefined;
      case 'keep': {
        const { handle, folder, file } = this.#of(volume);
        await handle.sync();
        await handle.close();
        this.#open.delete(volume);
        await rename(part(file), file);
        await syncFolder(folder);
        return file;
      }
      case 'drop': {
        const opened = this.#open.get(volume);
        this.#open.delete(volume);
        if (opened === undefined) return undefined;
        await opened.handle.close();
        await rm(part(opened.file), { force: true });
        return undefined;
      }
      default:
        return step satisfies never;
    }
  }
  #of(volume: number): Open {
    const opened = this.#open.get(volume);
    if (opened === undefined) throw new Refused(NO_FILE);
    return opened;
  }
}
class Refused extends Error {
  readonly words: Text;
  constructor(words: Text) {
    super(words.en);
    this.words = words;
  }
}
const part = (file: string): string => `${file}.part`;
/** A mirror's name may hold what a file's may not. */
const fileName = (mirror: string): string => mirror.replaceAll(/[^A-Za-z0-9._-]/g, '_');
/** `20261130T022000.123Z`. */
const stamp = (wall: number): string => new Date(wall).toISOString().replaceAll(/[-:]/g, '');

async function room(folder: string, need: number): Promise<void> {
  await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  const s = await statfs(folder);
  const free = s.bavail * s.bsize;
  if (free >= need + SPARE) return;
  const [kib, has] = [Math.ceil(need / 1024), Math.floor(free / 1024)];
  throw new Refused(
    text(
      `${folder} has room for ${has} KiB, and up to ${kib} KiB are to be kept: --keep-in a larger folder`,
      `${folder} 仅剩 ${has} KiB，而最多需要保存 ${kib} KiB：请用 --keep-in 指定更大的目录`,
    ),
  );
}
async function writeAll(handle: FileHandle, buffers: readonly Uint8Array[]): Promise<void> {
  const all = Buffer.concat(buffers);
  for (let at = 0; at < all.length; ) at += (await handle.write(all, at)).bytesWritten;
}
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync();
  await handle.close();
}
function reason(e: unknown, path: string): Text {
  const { code, message } = e as NodeJS.ErrnoException;
  const why = code ?? message;
  return text(`${path}: ${why}`, `${path}：${why}`);
}
