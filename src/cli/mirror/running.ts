/** The mirrors that run on this host: each process has its control socket, and all answers make one document. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { MIRROR_FOLDER, MIRROR_SOCKET, type MirrorDocument } from '../../api/index.ts';
import { err, ok, type Result, text } from '../../base/index.ts';
import { type AskError, ask } from '../ask.ts';

export type Running = {
  readonly document: MirrorDocument;
  /** Of a mirror that is in the document. */
  readonly socketOf: (mirror: string) => string;
};
function sockets(): readonly string[] {
  try {
    const own = readdirSync(MIRROR_FOLDER).filter((f) => f.endsWith('.sock'));
    return [...own.map((f) => join(MIRROR_FOLDER, f)), MIRROR_SOCKET];
  } catch {
    return [MIRROR_SOCKET];
  }
}
export const socketsOf = (only: string | undefined): readonly string[] => (only === undefined ? sockets() : [only]);
/** `only`: the socket of one process. Sockets that a dead process left are passed over. */
export async function running(only: string | undefined): Promise<Result<Running, AskError>> {
  const paths = socketsOf(only);
  const of = new Map<string, string>();
  const mirrors: MirrorDocument['mirrors'][number][] = [];
  let at = 0;
  let worst: AskError | undefined;
  let answered = false;
  for (const path of paths) {
    const a = await ask(path, { ask: 'mirrors' });
    if (!a.ok) {
      if (worst === undefined || a.error.kind !== 'not-running') worst = a.error;
      continue;
    }
    answered = true;
    const d = a.value as MirrorDocument;
    at = Math.max(at, d.at);
    for (const m of d.mirrors)
      if (!of.has(m.name)) {
        of.set(m.name, path);
        mirrors.push(m);
      }
  }
  if (worst !== undefined && (!answered || worst.kind !== 'not-running'))
    return err(
      worst.kind === 'not-running' && only === undefined
        ? {
            kind: 'not-running',
            text: text(
              'no mirror runs here: holdfast mirror up NAME',
              '本机没有正在运行的镜像：holdfast mirror up 名称',
            ),
          }
        : worst,
    );
  mirrors.sort((a, b) => (a.name < b.name ? -1 : 1));
  return ok({ document: { at, mirrors }, socketOf: (m) => of.get(m) ?? MIRROR_SOCKET });
}
