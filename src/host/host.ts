/** Everything, for whoever composes. A part's driver asks only for the fields it uses. */
import type { Clock, Entropy, Files, Log, Network, Processes, Sockets, Sysctl } from './ports.ts';
import type { Streams } from './streams.ts';

export interface Host {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly sockets: Sockets;
  readonly streams: Streams;
  readonly network: Network;
  readonly processes: Processes;
  readonly files: Files;
  readonly sysctl: Sysctl;
}
