/**
 * What the director says about itself: the document of `holdfast lb status --json`. Times since the epoch in
 * milliseconds, lengths in milliseconds where the name ends in Ms. Counters since the plane took the server on.
 */
import type { Text } from '../base/index.ts';

export type LbCheck = {
  /** `http 192.168.1.11:80`. */
  readonly name: string;
  readonly verdict: 'up' | 'down';
  readonly since: number;
  /** The last attempt could not be made on this host: where the server stands is not known. */
  readonly unasked: boolean;
  /** Of the last attempt; undefined: none yet. */
  readonly reason: Text | undefined;
  readonly latencyMs: number | undefined;
  readonly lastAt: number | undefined;
};
export type LbCounters = {
  readonly connections: number;
  readonly packetsIn: number;
  readonly bytesIn: number;
  readonly packetsOut: number;
  readonly bytesOut: number;
  readonly active: number;
  readonly inactive: number;
};
export type LbServer = {
  readonly key: string;
  readonly address: string;
  /** 0: the port that the client asked for. */
  readonly port: number;
  readonly forwarding: 'nat' | 'direct-routing' | 'tunnel';
  /** Of `tunnel`. `port`: GUE's. */
  readonly tunnel?: { readonly type: 'ipip' | 'gue' | 'gre'; readonly port?: number };
  /** `sorry`: it stands in for the others. */
  readonly role: 'real' | 'sorry';
  /**
   * `waiting`: no first success yet. `damped`: good again, but it flapped. `kept`: bad, but too few would be left.
   * `refused`: it cannot be reached in its mode.
   */
  readonly state: 'up' | 'down' | 'waiting' | 'damped' | 'kept' | 'refused' | 'standby';
  readonly since: number;
  readonly because: Text;
  /** Configured or given from outside, with what the checks found. */
  readonly weight: number;
  /** In the plane now; undefined: it is not in the plane. */
  readonly planeWeight: number | undefined;
  /** It takes no new connections; `until` undefined: until it is told otherwise. */
  readonly drained: { readonly since: number; readonly until: number | undefined } | undefined;
  readonly checks: readonly LbCheck[];
  readonly counters: LbCounters | undefined;
};
export type LbService = {
  /** `tcp 192.168.1.99:80`: what the commands take. */
  readonly key: string;
  /** As in the plane: several for a group. */
  readonly matches: readonly LbMatch[];
  readonly scheduler: string;
  readonly flags: readonly string[];
  readonly onePacket: boolean;
  readonly persistence:
    | { readonly seconds: number; readonly granularity?: number; readonly engine?: string }
    | undefined;
  /** Undefined: no plane carries it, and `planeBecause` says why. */
  readonly plane: string | undefined;
  readonly planeBecause: Text;
  /** What the plane's kernel refused last; undefined: all is there. */
  readonly refused: Text | undefined;
  readonly quorum: {
    readonly up: boolean;
    readonly since: number;
    /** Of the weights that live. */
    readonly sum: number;
    readonly quorum: number;
    readonly hysteresis: number;
  };
  readonly sorryServes: boolean;
  /** Checks rest: its address is on another host. */
  readonly suspended: boolean;
  readonly servers: readonly LbServer[];
};
export type LbMatch =
  | {
      readonly by: 'address';
      readonly protocol: string;
      readonly from: string;
      readonly to: string;
      readonly port: number;
    }
  | { readonly by: 'fwmark'; readonly mark: number; readonly family: 4 | 6 };
/** The other director, and the connections that only a memory of flows keeps where they are. */
export type LbPeer = {
  readonly address: string;
  readonly port: number;
  readonly state: 'heard' | 'silent' | 'never';
  readonly heardAt: number | undefined;
  /** Of this director, and how many of them the other has. */
  readonly own: number;
  readonly acknowledged: number;
  /** Of the other director, held here for a takeover. */
  readonly held: number;
  /** Not told, because there are too many. */
  readonly leftOut: number;
  /** Messages that were not the peer's. */
  readonly refused: number;
  /** Why the other hears of connections later than it should; undefined: it does not. */
  readonly late: Text | undefined;
};
export type LbDocument = {
  readonly schema: 1;
  readonly pid: number;
  readonly at: number;
  readonly planes: readonly string[];
  readonly services: readonly LbService[];
  /** Undefined: none was named. */
  readonly peer: LbPeer | undefined;
  readonly sync: readonly { readonly role: string; readonly interface: string; readonly id: number }[];
};

export type LbRequest =
  | { readonly ask: 'lb' }
  /** `forMs`: ends by itself; absent: until `on` is false. */
  | {
      readonly ask: 'lb-drain';
      readonly service: string;
      readonly server: string;
      readonly on: boolean;
      readonly forMs?: number;
      /** Also where the quorum is lost by it. */
      readonly force?: boolean;
    }
  /** `weight` absent: the configured one again. */
  | {
      readonly ask: 'lb-weight';
      readonly service: string;
      readonly server: string;
      readonly weight?: number;
      readonly force?: boolean;
    };
/** `error`: nothing was changed. */
export type LbAnswer = { readonly done: true } | { readonly error: Text };

/** One cause that `holdfast lb check` found, or that all is well with a server. `hint`: the way out. */
export type LbFinding = {
  readonly severity: 'good' | 'warning' | 'error';
  readonly code: string;
  readonly server: string | undefined;
  readonly text: Text;
  readonly hint?: Text;
};
