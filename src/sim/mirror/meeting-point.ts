/**
 * Where two hosts that look for each other meet, with one connection for both sockets, and no call in the way of another.
 * How calls cross is another matter: calls.ts.
 */
import type { Text } from '../../base/index.ts';
import type { DrbdPacket, DrbdSocket } from '../../wire/index.ts';
import type { World } from '../world.ts';
import { Line, type Wire } from './line.ts';
import type { Rendezvous, SimNode } from './node.ts';

export class MeetingPoint implements Rendezvous {
  readonly #world: World;
  readonly #wire: Wire;
  readonly #nodes: () => readonly [SimNode, SimNode];

  constructor(world: World, wire: Wire, nodes: () => readonly [SimNode, SimNode]) {
    this.#world = world;
    this.#wire = wire;
    this.#nodes = nodes;
  }
  seeks(n: SimNode): void {
    const other = this.#nodes()[(1 - n.index) as 0 | 1];
    this.#world.at(this.#world.now + this.#world.random.between(1_000, 300_000), () => {
      if (!n.alive || !n.seeking || n.lines.data !== undefined) return;
      if (this.#wire.cut || !other.alive || !other.seeking || other.lines.data !== undefined) return this.seeks(n);
      this.#meet(n, other);
    });
  }
  #meet(opener: SimNode, other: SimNode): void {
    const end = (n: SimNode, at: 0 | 1) => ({
      arrives: (run: () => void): void => n.feed(run),
      hears: (socket: DrbdSocket, packet: DrbdPacket): void => {
        // Whoever is called knows of the line when it hears the first packet, and not before.
        if (at === 1 && packet.kind === 'P_INITIAL_DATA' && n.lines.data === undefined) {
          if (n.seeking) both(n, at);
          else line.close(at);
        }
        if (n.lines.data?.line !== line) return;
        // Who accepts the data socket opens the other at once.
        if (packet.kind === 'P_INITIAL_DATA') {
          n.handle({ kind: 'socket', socket: 'data', opened: 'there' });
          n.handle({ kind: 'socket', socket: 'meta', opened: 'here' });
        } else if (packet.kind === 'P_INITIAL_META') n.handle({ kind: 'socket', socket: 'meta', opened: 'there' });
        else n.handle({ kind: 'packet', socket, packet });
      },
      closed: (because: Text): void => {
        if (n.lines.data?.line === line) n.handle({ kind: 'closed', because });
      },
    });
    const line: Line = new Line(this.#world, this.#wire, [end(opener, 0), end(other, 1)]);
    const both = (n: SimNode, at: 0 | 1): void => {
      const end = { line, end: at };
      n.lines = { data: end, meta: end };
    };
    both(opener, 0);
    opener.feed(() => {
      if (opener.lines.data?.line === line) opener.handle({ kind: 'socket', socket: 'data', opened: 'here' });
    });
  }
}
