/** Runs the handlers of a mirror: shell commands that are told by their environment what happened to whom. */
import { familyOf } from '../../base/index.ts';
import type { Command, Exit, Processes, Running } from '../../host/index.ts';
import type { MirrorConfig, MirrorHandler, VolumeConfig } from '../../mirror/index.ts';

/** What drbdadm and the kernel give to a handler, and nothing of our own environment. `file`: the configuration's. */
export function handlerCommand(
  m: MirrorConfig,
  name: MirrorHandler,
  volume: number | undefined,
  file: string | undefined,
): Command | undefined {
  const line = m.handlers[name];
  if (line === undefined) return undefined;
  const about = m.volumes.filter((v) => volume === undefined || v.number === volume);
  const list = (of: (v: VolumeConfig) => string | number | undefined): string =>
    about.map((v) => of(v) ?? '').join(' ');
  return {
    argv: ['/bin/sh', '-c', line],
    environment: {
      PATH: '/sbin:/usr/sbin:/bin:/usr/bin',
      HOME: '/',
      TERM: 'linux',
      DRBD_RESOURCE: m.name,
      DRBD_VOLUME: list((v) => v.number),
      DRBD_MINOR: list((v) => v.minor),
      DRBD_LL_DISK: list((v) => v.disk ?? 'none'),
      DRBD_CONF: file ?? '',
      DRBD_PEER: m.peer,
      DRBD_PEERS: m.peer,
      DRBD_PEER_AF: familyOf(m.remote.address) === 4 ? 'ipv4' : 'ipv6',
      DRBD_PEER_ADDRESS: m.remote.address,
    },
  };
}

export class HandlerRunner {
  readonly #processes: Pick<Processes, 'run'>;
  readonly #running = new Map<number, Running>();
  readonly #ended: (handler: number, status: number | undefined) => void;

  constructor(processes: Pick<Processes, 'run'>, ended: (handler: number, status: number | undefined) => void) {
    this.#processes = processes;
    this.#ended = ended;
  }
  run(handler: number, command: Command): void {
    const exited = (e: Exit): void => {
      if (this.#running.delete(handler)) this.#ended(handler, 'code' in e ? e.code : undefined);
    };
    this.#running.set(handler, this.#processes.run(command, exited));
  }
  /** It and all that it started. */
  kill(handler: number): void {
    this.#running.get(handler)?.signal('SIGKILL');
    this.#running.delete(handler);
  }
}
