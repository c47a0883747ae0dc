/**
 * The connection of a resource: looking for the peer, the handshake, the order in which packets are worked off, pings, and
 * what the loss of the peer means. Packets of the data socket wait while something that they rely on is being written.
 */
import { type Microseconds, type Text, text, us } from '../../../base/index.ts';
import {
  DRBD_DISKS,
  DRBD_ROLES,
  type DrbdConnection,
  type DrbdPacket,
  type DrbdSocket,
  decodeState,
  type StatePacket,
} from '../../../wire/index.ts';
import {
  type ConnectConfig,
  type ConnectEffect,
  type ConnectEvent,
  type ConnectState,
  connectDeadline,
  decideVolume,
  fittingDisks,
  type PeerVolume,
  startConnect,
  stepConnect,
} from '../../machine/index.ts';
import type { Parts } from '../parts.ts';
import { OTHER_DATA } from '../reasons.ts';
import { atLeast, type Volume } from '../volume.ts';
import { connectConfig } from './facts.ts';

type Decided = Extract<ConnectEffect, { readonly kind: 'decided' }>;
const ERA_CLOSED = text('the connection was closed here', '本机关闭了连接');

export class Link {
  readonly #p: Parts;
  readonly #challenge: () => Uint8Array;
  secret: Uint8Array | undefined;
  /** Of the whole connection, up to Connected. */
  state: DrbdConnection = 'StandAlone';
  discardMyData = false;
  #machine: ConnectState = startConnect();
  #config: ConnectConfig | undefined;
  #nonce: Uint8Array = new Uint8Array(0);
  /** What waits for something durable. */
  readonly #blocks = new Set<object>();
  #inbox: DrbdPacket[] = [];
  #working = false;
  #heardAt = 0;
  /** When the first of the two sockets was there. */
  #halfAt: number | undefined;
  #pingedAt: number | undefined;
  #pongs: (() => void)[] = [];
  /** How many connections came as far as to tell of themselves. */
  connections = 0;
  /** Counts connections: what was begun for an older one does not go on in this one. */
  era = 0;
  /** The first P_STATE of each volume, on which is decided. */
  readonly #told = new Map<number, StatePacket>();

  constructor(p: Parts, challenge: () => Uint8Array, secret: Uint8Array | undefined) {
    this.#p = p;
    this.#challenge = challenge;
    this.secret = secret;
  }

  get established(): boolean {
    return this.state === 'Connected';
  }
  /** Between what we told of ourselves and the decision: neither role nor data may change. */
  get negotiating(): boolean {
    return (
      this.#machine.phase.is === 'parameters' ||
      (this.state === 'WFReportParams' && this.#blocks.size > 0) ||
      this.#p.volumes.some((v) => this.#p.joining.waits(v) && v.holds.has('connecting'))
    );
  }
  /** From the parameters on a silent peer is found out by pings; before, by the deadline of each answer. */
  get #talking(): boolean {
    return this.established || this.state === 'WFReportParams';
  }
  get resolver(): boolean {
    return this.#machine.resolver;
  }
  get dialect(): ConnectState['dialect'] {
    return this.#machine.dialect;
  }
  get deadline(): Microseconds | undefined {
    const { pingInterval, pingTimeout } = this.#p.config.net;
    if (this.state === 'WFConnection' && this.#halfAt !== undefined && this.#machine.phase.is === 'sockets')
      return us(this.#halfAt + this.#p.config.net.connectInterval * 1000);
    if (!this.#talking) return connectDeadline(this.#machine);
    return us(this.#pingedAt === undefined ? this.#heardAt + pingInterval * 1000 : this.#pingedAt + pingTimeout * 1000);
  }

  // ------------------------------------------------------------------------------------------ beginning and end

  seek(): void {
    this.state = 'WFConnection';
    for (const v of this.#p.volumes) v.connection = 'WFConnection';
    this.#machine = startConnect();
    this.#halfAt = undefined;
    this.#config = undefined;
    this.#nonce = this.#challenge();
    this.#p.c.emit({ kind: 'seek' });
  }
  /**
   * `retry`: look for the peer again; else stay StandAlone until an operator says otherwise. `as`: DRBD's name for the cause.
   * `verdict`: what was told in the handshake forbids a connection.
   */
  lose(why: Text, retry: boolean, as?: 'Timeout' | 'NetworkFailure', verdict = false): void {
    const before = this.state;
    if (before === 'StandAlone') return;
    const { volumes, sender, receiver, c } = this.#p;
    this.era++;
    c.emit({ kind: 'close', verdict });
    const named = as === undefined ? '' : ` (${as})`;
    if (before !== 'WFConnection' || verdict)
      c.reason(
        'mirror.disconnected',
        undefined,
        text(`no connection${named}: ${why.en}`, `连接断开${named}：${why.zh}`),
      );
    this.state = retry ? 'Unconnected' : 'StandAlone';
    this.#blocks.clear();
    this.#inbox = [];
    this.#pongs = [];
    this.#pingedAt = undefined;
    this.#told.clear();
    if (this.#p.undos.lost(retry)) this.discardMyData = true;
    // Asked for once, it holds until there has been a decision.
    if (!retry) this.discardMyData = false;
    const finished = new Set(volumes.filter((v) => v.peerMayBeDone));
    // A full resync that was agreed to and has not begun: with a generation of its own this side is the source next time.
    const asked = volumes.filter((v) => v.connection === 'StartingSyncS' && v.uuids.bitmap === 0n && !v.primary);
    const hadPeer = new Set(volumes.filter((v) => v.connected));
    // Also one that a handshake had decided of: the peer may think that it is connected, and is not as it was fenced.
    const met = new Set(volumes.filter((v) => v.connected || atLeast(v.peerDisk, 'Consistent')));
    // What a resync kept back goes on when all is known: the source that is lost may have been the only good disk.
    for (const v of volumes) v.hold('connecting', CONNECTING);
    this.#p.syncs.stop();
    for (const v of volumes) {
      if (!atLeast(v.peerDisk, 'Inconsistent') || atLeast(v.peerDisk, 'DUnknown')) v.peerDisk = 'DUnknown';
      if (finished.has(v) && v.peerDisk === 'Inconsistent') v.peerDisk = 'DUnknown';
      if (met.has(v)) this.#p.fencing.freeze(v);
      v.leaving = false;
    }
    sender.lost();
    receiver.lost();
    this.#p.two.lost();
    this.#p.peerDisks.lost();
    for (const v of volumes) {
      v.connection = retry ? 'Unconnected' : 'StandAlone';
      v.peerRole = 'Unknown';
      v.considerResync = false;
      v.pause.peer = false;
      v.seq = 0;
      v.told = v.peerUuids ?? v.told;
      v.peerUuids = undefined;
      if (hadPeer.has(v)) this.alone(v, finished.has(v));
    }
    for (const v of asked) v.beginGeneration();
    this.#p.agreements.lost();
    this.#p.roles.idle();
    this.#p.resizes.lost();
    this.#p.congestion.lost();
    for (const v of volumes) {
      const { negotiating } = v;
      this.#p.disks.undecided(v);
      // Only now is it known to be good: what it takes from here on the peer does not have either.
      if (negotiating && hadPeer.has(v)) this.alone(v, finished.has(v));
      this.#p.disks.check(v);
      v.release('connecting');
    }
    sender.settleAll();
    this.#p.reads.lost();
    if (retry) this.seek();
    if (hadPeer.size > 0 || before === 'WFReportParams') this.#p.fencing.lost();
  }
  /** What a primary writes from here on the peer does not have: that makes a new generation, once. */
  alone(v: Volume, even = false, now = false): void {
    if (!(v.primary || v.promoting || v.peerRole === 'Primary') || v.disk !== 'UpToDate') return;
    if (!now && this.#p.fencing.frozen(v)) {
      this.#p.fencing.owe(v, even);
      return;
    }
    if (v.uuids.bitmap === 0n || even) v.beginGeneration();
  }
  /** Packets of the data socket wait for something durable. */
  get waits(): boolean {
    return this.#blocks.size > 0;
  }
  /** Holds the data socket's packets back until the returned function is called. */
  block(): () => void {
    const token = {};
    this.#blocks.add(token);
    return () => {
      if (this.#blocks.delete(token)) this.#work();
    };
  }

  /** What packets waited for will never be durable: the disk is gone. */
  unblock(): void {
    this.#blocks.clear();
    this.#work();
  }

  // ------------------------------------------------------------------------------------------ events

  socket(socket: DrbdSocket, opened: 'here' | 'there'): void {
    if (this.state !== 'WFConnection') return;
    this.#halfAt ??= this.#p.c.now;
    this.#step({ kind: 'socket', socket, opened });
  }
  closed(why: Text): void {
    if (this.state !== 'StandAlone') this.lose(why, true);
  }
  tick(): void {
    const { c, config } = this.#p;
    if (this.state === 'WFConnection' && this.#halfAt !== undefined && this.#machine.phase.is === 'sockets') {
      if (c.now >= this.#halfAt + config.net.connectInterval * 1000) this.lose(HALF, true);
      return;
    }
    if (!this.#talking) {
      const due = connectDeadline(this.#machine);
      if (due !== undefined && c.now >= due) this.#step({ kind: 'tick' });
      return;
    }
    if (this.#pingedAt === undefined) {
      if (c.now >= this.#heardAt + config.net.pingInterval * 1000) this.ping(() => {});
    } else if (c.now >= this.#pingedAt + config.net.pingTimeout * 1000)
      this.lose(
        text(
          `no answer to a ping within ${config.net.pingTimeout} ms (ping-timeout)`,
          `${config.net.pingTimeout} 毫秒内未收到 ping 应答（ping-timeout）`,
        ),
        true,
        'NetworkFailure',
      );
  }
  packet(socket: DrbdSocket, p: DrbdPacket): void {
    if (this.state === 'StandAlone') return;
    this.#heardAt = this.#p.c.now;
    if (this.established || this.state === 'WFReportParams') {
      if (p.kind === 'P_PING') {
        this.#p.c.send('meta', { kind: 'P_PING_ACK', volume: 0 });
        return;
      }
      if (p.kind === 'P_PING_ACK') {
        this.#pingedAt = undefined;
        this.#pongs.shift()?.();
        return;
      }
      if (socket === 'meta') {
        this.#p.syncs.packet(p);
        return;
      }
    }
    this.#inbox.push(p);
    this.#work();
  }
  /** `then` is called when the answer is there: what was sent on the meta socket before it has arrived. */
  ping(then: () => void): void {
    this.#pongs.push(then);
    this.#pingedAt ??= this.#p.c.now;
    this.#p.c.send('meta', { kind: 'P_PING', volume: 0 });
  }

  #work(): void {
    if (this.#working) return;
    this.#working = true;
    for (let p = this.#inbox[0]; p !== undefined; p = this.#inbox[0]) {
      // It says how what follows is to be read, and relies on nothing: a detach from before the connection does not hold it back.
      if (this.#blocks.size > 0 && p.kind !== 'P_CONNECTION_FEATURES') break;
      this.#inbox.shift();
      const { phase } = this.#machine;
      const decided = phase.is === 'connected' || (phase.is === 'parameters' && phase.decided.has(p.volume));
      if (!decided) {
        this.#step({ kind: 'packet', socket: 'data', packet: p });
        continue;
      }
      // It tells of all its volumes before it answers what we told of the first.
      if (phase.is === 'parameters') {
        this.#step({ kind: 'told' });
        this.#connected();
      }
      if (!this.#p.reads.packet(p)) this.#p.syncs.packet(p);
    }
    this.#working = false;
  }

  // ------------------------------------------------------------------------------------------ handshake

  #facts(): ConnectConfig {
    if (this.#config !== undefined) return this.#config;
    const now = connectConfig(this.#p.config, this.#p.volumes, {
      secret: this.secret,
      discardMyData: this.discardMyData,
    });
    return now;
  }
  #step(e: ConnectEvent): void {
    if (e.kind === 'packet') this.#note(e.packet);
    const facts = this.#facts();
    const next = stepConnect(facts, this.#machine, e, this.#p.c.now, this.#nonce);
    this.#machine = next.state;
    // What was told must hold until it is decided: both sides decide from the same.
    if (next.state.phase.is === 'parameters' && this.#config === undefined) {
      this.#config = facts;
      this.connections++;
      this.state = 'WFReportParams';
      for (const v of this.#p.volumes) {
        v.connection = 'WFReportParams';
        v.hold('connecting', CONNECTING);
      }
    }
    this.#run(next.effects);
  }
  #note(p: DrbdPacket): void {
    const v = this.#p.volumes.find((one) => one.number === p.volume);
    if (v === undefined) return;
    if (p.kind === 'P_UUIDS') v.peerUuids = p;
    else if (p.kind === 'P_SIZES') v.peerSizes = p;
    else if (p.kind === 'P_STATE') this.#told.set(v.number, p);
  }
  #run(effects: readonly ConnectEffect[]): void {
    for (const [i, e] of effects.entries()) {
      switch (e.kind) {
        case 'open':
          this.#p.c.emit({ kind: 'open', socket: e.socket });
          break;
        case 'agree':
          this.#p.c.emit({ kind: 'agree', dialect: e.dialect });
          break;
        case 'send':
          this.#p.c.send(e.socket, e.packet);
          if (e.packet.kind !== 'P_STATE') break;
          if (this.established) this.#joined(this.#volume(e.packet.volume));
          else if (this.#machine.phase.is !== 'parameters') this.#connected();
          break;
        case 'close':
          this.lose(e.because, e.retry, undefined, !e.retry);
          return;
        case 'decided': {
          const unblock = this.block();
          const rest = effects.slice(i + 1);
          const { era } = this;
          this.#decide(e, () => {
            this.#run(rest);
            if (era !== this.era) return;
            this.#p.steps.begin(this.#volume(e.volume));
            unblock();
          });
          return;
        }
      }
    }
  }
  #volume(n: number): Volume {
    const v = this.#p.volumes.find((one) => one.number === n);
    if (v === undefined) throw new Error(`bug: no volume ${n}`);
    return v;
  }
  /** Makes the decision durable; `then` the packets behind it may be sent. */
  #decide(e: Decided, then: () => void): void {
    const v = this.#volume(e.volume);
    const { decision } = e;
    const told = decodeState(this.#told.get(v.number)?.state ?? 0);
    for (const r of decision?.reasons ?? []) this.#p.c.reason('mirror.decided', v.number, r);
    for (const h of decision?.handlers ?? []) this.#p.handlers.call(h, v.number);
    const outcome = decision?.outcome ?? { do: 'connect' as const };
    if (outcome.do === 'drop') {
      then();
      return;
    }
    if (outcome.do !== 'connect' && outcome.demote && !this.#p.roles.giveUp(v)) {
      this.lose(IN_USE, false);
      return;
    }
    const peerUpToDate = DRBD_DISKS[told.disk] === 'UpToDate';
    if (!this.#p.fencing.decided(v, decision !== undefined && outcome.do === 'connect', peerUpToDate)) {
      this.lose(NOT_AS_IT_WAS, true);
      return;
    }
    if (!this.#p.peerDisks.shows(v)) {
      this.lose(OTHER_DATA, false);
      return;
    }
    v.resize(e.size.size, e.size.userSize);
    if (decision?.corrected?.mine !== undefined) v.uuids = decision.corrected.mine;
    if (decision?.corrected?.peer !== undefined && v.peerUuids !== undefined)
      v.peerUuids = { ...v.peerUuids, uuids: decision.corrected.peer };
    const connection: DrbdConnection =
      outcome.do === 'connect' ? 'Connected' : outcome.do === 'source' ? 'WFBitMapS' : 'WFBitMapT';
    if (outcome.do !== 'connect' && outcome.full && v.backing !== undefined) v.bitmap.setAll();
    v.peerRole = DRBD_ROLES[told.role] ?? 'Unknown';
    v.pause.peer = told.userPaused || told.afterDependencyPaused;
    const peerDisk = v.peerDiskOf(told.disk);
    [v.disk, v.peerDisk] = fittingDisks(connection, v.disk, peerDisk);
    const { era } = this;
    v.save(outcome.do !== 'connect' && outcome.full, () => {
      if (era !== this.era) return;
      v.connection = connection;
      then();
    });
  }
  /** A volume that comes to a connection that works: it is decided of as of all at the beginning of one. */
  join(v: Volume, p: StatePacket): void {
    this.#note(p);
    v.hold('connecting', CONNECTING);
    const config = connectConfig(this.#p.config, [v]);
    const peer: PeerVolume = {
      ...(v.peerSizes === undefined ? {} : { sizes: v.peerSizes }),
      ...(v.peerUuids === undefined ? {} : { uuids: v.peerUuids }),
    };
    for (const mine of config.volumes) this.#run(decideVolume(config, this.#machine, mine, peer, p.state));
  }
  #joined(v: Volume): void {
    const told = this.#config?.volumes.find((one) => one.volume === v.number)?.pause;
    const { user, dependency } = v.pause;
    // Whoever paused or resumed since it was told did so between the two.
    if (told !== undefined && (told.user !== user || told.dependency !== dependency)) this.#p.syncs.tell(v);
    this.#p.fencing.connected(v);
    this.#p.peerDisks.connected(v);
    this.#p.disks.check(v);
    v.release('connecting');
  }
  /** All volumes are decided of that both sides have. */
  #connected(): void {
    this.state = 'Connected';
    this.#heardAt = this.#p.c.now;
    this.discardMyData = false;
    this.#p.c.reason('mirror.connected', undefined, text('connected to the peer', '已与对端建立连接'));
    for (const v of this.#p.volumes)
      if (v.connected) this.#joined(v);
      else this.#p.joining.absent(v);
    this.#p.undos.connected();
    this.#p.fencing.established();
  }
  disconnectHere(): void {
    this.lose(ERA_CLOSED, false);
  }
}
const HALF = text('the peer did not open the second connection', '对端没有打开第二条连接');
const NOT_AS_IT_WAS = text(
  'the peer was away, and may lack what was written last: it is resynced',
  '对端曾离线，可能缺少最近的写入：将重新同步',
);
const IN_USE = text(
  'this side lost the split brain and cannot become secondary: it is in use',
  '本机在脑裂裁决中落败，但正在使用，无法降为从节点',
);
const CONNECTING = text('the peer has just connected', '对端刚刚连接');
