/**
 * Two hosts that call each other, as the real driver does: each socket is a connection of its own, and calls cross. What is
 * to be done is `stepMeeting`'s to say.
 */
import type { Text } from '../../base/index.ts';
import { type Meeting, type MeetingEffect, type MeetingEvent, startMeeting, stepMeeting } from '../../mirror/index.ts';
import type { DrbdPacket, DrbdSocket } from '../../wire/index.ts';
import type { World } from '../world.ts';
import { Line, type Wire } from './line.ts';
import type { Rendezvous, SimNode } from './node.ts';

/** Microseconds: connect-int, ping-timeout. */
const INTERVAL = 1_000_000;
const PING_TIMEOUT = 500_000;

type Side = {
  meeting: Meeting<Line>;
  /** What was begun in an older one does not go on. */
  round: number;
  unplan: () => void;
  /** Connections that its kernel has. */
  readonly open: Set<Line>;
};
const side = (): Side => ({ meeting: startMeeting(), round: 0, unplan: () => {}, open: new Set() });

export class Calls implements Rendezvous {
  readonly #world: World;
  readonly #wire: Wire;
  readonly #nodes: () => readonly [SimNode, SimNode];
  readonly #sides: readonly [Side, Side] = [side(), side()];

  constructor(world: World, wire: Wire, nodes: () => readonly [SimNode, SimNode]) {
    this.#world = world;
    this.#wire = wire;
    this.#nodes = nodes;
  }
  seeks(n: SimNode): void {
    this.#feed(n, { kind: 'seek' });
  }
  opens(n: SimNode, socket: DrbdSocket): void {
    this.#feed(n, { kind: 'open', socket });
  }
  agreed(n: SimNode): void {
    this.#feed(n, { kind: 'agreed' });
  }
  leaves(n: SimNode): void {
    this.#over(n);
    this.#feed(n, { kind: 'stop' });
  }
  dies(n: SimNode, power: boolean): void {
    this.#over(n);
    const s = this.#sides[n.index];
    s.meeting = startMeeting();
    for (const line of s.open) power ? line.vanish(n.index) : line.close(n.index);
    s.open.clear();
  }
  #over(n: SimNode): void {
    const s = this.#sides[n.index];
    s.round++;
    s.unplan();
    s.unplan = () => {};
  }

  #feed(n: SimNode, e: MeetingEvent<Line>): void {
    const s = this.#sides[n.index];
    const next = stepMeeting(n.index === 0, s.meeting, e);
    s.meeting = next.state;
    for (const f of next.effects) this.#do(n, f);
  }
  #do(n: SimNode, f: MeetingEffect<Line>): void {
    const s = this.#sides[n.index];
    switch (f.kind) {
      case 'dial':
        this.#dial(n, f.socket);
        return;
      case 'plan': {
        s.unplan();
        const due = this.#world.now + this.#delay(f.when);
        s.unplan = this.#world.at(due, () => n.feed(() => this.#feed(n, { kind: 'due' })));
        return;
      }
      case 'hang-up':
        f.call.close(n.index);
        s.open.delete(f.call);
        return;
      case 'take':
        n.lines[f.socket] = { line: f.call, end: n.index };
        n.handle({ kind: 'socket', socket: f.socket, opened: f.opened });
        return;
      case 'over':
        n.handle({ kind: 'closed', because: f.because });
        return;
      case 'hold':
    }
  }
  #delay(when: (MeetingEffect<Line> & { kind: 'plan' })['when']): number {
    const { random: r } = this.#world;
    switch (when) {
      // Often in step, so that calls cross.
      case 'start':
        return r.chance(0.5) ? r.between(0, 200) : r.between(0, 300_000);
      case 'soon':
        return PING_TIMEOUT * (0.4 + r.unit() * 0.4);
      case 'again':
        return INTERVAL * (0.3 + r.unit() * 0.4);
      case 'interval':
        return INTERVAL;
    }
  }
  #dial(n: SimNode, socket: DrbdSocket): void {
    const s = this.#sides[n.index];
    const other = this.#nodes()[(1 - n.index) as 0 | 1];
    const { round } = s;
    const then = (e: MeetingEvent<Line>, otherwise: () => void): void => {
      n.feed(() => {
        if (round === s.round) this.#feed(n, e);
        else otherwise();
      });
    };
    // No answer while the line is cut, and from a machine without power; a refusal where nobody listens.
    if (this.#wire.cut || !other.alive) {
      this.#world.at(this.#world.now + INTERVAL, () => then({ kind: 'failed', socket }, () => {}));
      return;
    }
    const line: Line = new Line(this.#world, this.#wire, [this.#end(0, () => line), this.#end(1, () => line)]);
    for (const i of [0, 1] as const) this.#sides[i].open.add(line);
    this.#world.at(this.#world.now + this.#wire.latency() + this.#wire.latency(), () =>
      then({ kind: 'connected', socket, call: line }, () => line.close(n.index)),
    );
  }
  #end(who: 0 | 1, line: () => Line) {
    const node = (): SimNode => this.#nodes()[who];
    return {
      arrives: (run: () => void): void => node().feed(run),
      hears: (socket: DrbdSocket, packet: DrbdPacket): void => {
        const n = node();
        if (packet.kind === 'P_INITIAL_DATA' || packet.kind === 'P_INITIAL_META')
          this.#feed(n, { kind: 'named', socket, call: line() });
        else if (n.lines[socket]?.line === line()) n.handle({ kind: 'packet', socket, packet });
      },
      closed: (because: Text): void => {
        this.#sides[who].open.delete(line());
        this.#feed(node(), { kind: 'ended', call: line(), because });
      },
    };
  }
}
