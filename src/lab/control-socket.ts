/** Where a running lab is spoken to: a unix socket that only its owner can reach. */
import { chmodSync, lstatSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from '../base/index.ts';
import { LabError } from './error.ts';

/** One line of JSON each way: the client sends its words, then input; the lab sends output, then the exit code. */
export type ClientMessage =
  | { readonly argv: readonly string[]; readonly columns?: number; readonly rows?: number }
  | { readonly input: string }
  | { readonly end: true };
export type LabMessage =
  | { readonly to: 'stdout' | 'stderr'; readonly text: string }
  | { readonly error: { readonly en: string; readonly zh: string } }
  | { readonly exit: number };

/** The user outside of any user namespace: everybody is root inside his own. */
function realUser(): number {
  const self = process.getuid?.() ?? 0;
  for (const line of readFileSync('/proc/self/uid_map', 'utf8').trim().split('\n')) {
    const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    if (self >= inside && self < inside + count) return outside + self - inside;
  }
  return self;
}

function folder(): string {
  const user = realUser();
  const runtime = process.env['XDG_RUNTIME_DIR'];
  if (runtime) return join(runtime, 'holdfast-lab');
  return user === 0 ? '/run/holdfast-lab' : `/tmp/holdfast-lab-${user}`;
}

/** Makes sure that the folder is ours alone before anything in it is trusted: /tmp is everybody's. */
function socketPath(name: string): string {
  const path = folder();
  try {
    mkdirSync(path, { mode: 0o700, recursive: true });
    const found = lstatSync(path);
    if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0)
      return join(path, `${name}.sock`);
  } catch (e) {
    throw new LabError('lab-socket', text(`${path}: ${String(e)}`, `${path}：${String(e)}`));
  }
  throw new LabError('lab-socket', text(`${path} is not a folder of yours alone`, `${path} 不是仅属于您的目录`));
}

const noLab = (name: string): LabError =>
  new LabError(
    'lab-not-up',
    text(`no lab '${name}' is up: npm run lab -- up FILE`, `没有运行中的实验环境“${name}”：npm run lab -- up 文件`),
  );

/** Rejects with LabError `lab-not-up` where nobody listens. */
export function reach(name: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect(socketPath(name));
  socket.once('connect', () => resolve(socket));
  socket.once('error', () => reject(noLab(name)));
  return promise;
}

export async function listen(name: string, serve: (client: Socket) => void): Promise<Server> {
  const path = socketPath(name);
  const already = await reach(name).catch(() => undefined);
  if (already) {
    already.destroy();
    throw new LabError(
      'lab-already-up',
      text(`a lab '${name}' is already up (--name starts another)`, `实验环境“${name}”已在运行（用 --name 另起一个）`),
    );
  }
  rmSync(path, { force: true }); // left by a lab that was killed
  const server = createServer(serve);
  const { promise, resolve, reject } = Promise.withResolvers<Server>();
  server.once('error', reject);
  server.listen(path, () => {
    chmodSync(path, 0o600);
    resolve(server);
  });
  return promise;
}

/** Calls back for each line of JSON. A line that is none ends the connection: whoever sent it does not speak this. */
export function onMessages<M>(socket: Socket, receive: (m: M) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      try {
        receive(JSON.parse(line) as M);
      } catch (e) {
        if (!(e instanceof SyntaxError)) throw e;
        socket.destroy();
      }
    }
  });
}
export const tell = (socket: Socket, m: ClientMessage | LabMessage): void => {
  if (!socket.destroyed) socket.write(`${JSON.stringify(m)}\n`);
};
