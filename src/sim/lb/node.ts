/** One director of the world: a host, its kernel's plane, the process on it and what its supervisor keeps for the next one. */
import { type IpAddress, ok } from '../../base/index.ts';
import {
  type CheckPorts,
  type CheckReport,
  Director,
  type DirectorConfig,
  type FoundWeight,
  PeerLink,
  type Plane,
  type PoolState,
  serviceKey,
  startCheckRunner,
  type Verdict,
} from '../../director/index.ts';
import { SimHost, type SimPorts } from '../host.ts';
import type { Segment } from '../segment.ts';
import type { World } from '../world.ts';
import type { Farm } from './farm.ts';
import { Kernel } from './kernel.ts';
import type { PeerWire } from './wire.ts';

const PEER_KEY = new TextEncoder().encode('of both directors');
export const directorAddress = (index: number): IpAddress => `10.0.0.${index + 1}` as IpAddress;

export type Drain = { readonly until: number | undefined };

export class Node {
  readonly host: SimHost;
  readonly kernel: Kernel;
  director: Director | undefined;
  config: DirectorConfig;
  /** What the checkers of this host said last, and what its operators asked for: what the promises are held against. */
  readonly verdicts = new Map<string, Verdict>();
  readonly weights = new Map<string, FoundWeight>();
  /** By service and server. */
  readonly drained = new Map<string, Drain>();
  readonly told = new Map<string, number>();
  /** By service: since when its checks have run without a pause. */
  readonly checkedSince = new Map<string, number>();
  readonly #world: World;
  readonly #farm: Farm;
  readonly #index: number;
  /** To the other director; undefined: it knows of none. */
  readonly #wire: PeerWire | undefined;
  #peer: PeerLink | undefined;
  #ports: SimPorts | undefined;
  readonly #memory = new Map<string, string>();

  constructor(
    name: string,
    index: number,
    config: DirectorConfig,
    { world, farm, segment, wire }: { world: World; farm: Farm; segment: Segment; wire: PeerWire | undefined },
  ) {
    this.#index = index;
    this.#wire = wire;
    this.#world = world;
    this.#farm = farm;
    this.config = config;
    this.kernel = new Kernel(world);
    this.host = new SimHost(name, world);
    this.host.connect('eth0', segment, `02:00:00:00:00:0${index + 1}`, {
      address: directorAddress(index),
      length: 16,
    });
  }
  get alive(): boolean {
    return this.director !== undefined;
  }

  boot(): void {
    this.host.boot((ports) => {
      this.#ports = ports;
      const alive = (): boolean => this.#ports === ports;
      const pools: Record<string, PoolState> = {};
      for (const [key, json] of this.#memory) pools[key] = JSON.parse(json) as PoolState;
      const checkPorts: CheckPorts = {
        ...ports,
        files: { read: () => undefined, write: () => ok(undefined), watch: () => ok(() => {}) },
        streams: this.#farm.streams(alive),
        run: (script, exited) => this.#farm.run(script, exited, alive),
      };
      const noRandomBytes = (n: number): Uint8Array => new Uint8Array(n);
      const plane = this.kernel.plane();
      this.#peer = this.#wire && this.#link(this.#wire, ports, plane, alive);
      this.director = new Director(
        this.config,
        {
          ...ports,
          planes: [plane],
          checks: (report) =>
            startCheckRunner(checkPorts, noRandomBytes, (r) => {
              this.#heard(r);
              report(r);
            }),
        },
        {
          memory: { pools },
          notify: () => {},
          remember: (key, m) => {
            if (m) this.#memory.set(key, JSON.stringify(m));
            else this.#memory.delete(key);
          },
        },
      );
    });
    this.director?.start();
    this.#peer?.start();
    for (const v of this.config.virtualServers) this.checkedSince.set(serviceKey(v), this.#world.now);
  }
  #link(wire: PeerWire, ports: SimPorts, plane: Plane, alive: () => boolean): PeerLink {
    const sockets = { ...ports.sockets, udp: wire.udp(directorAddress(this.#index), alive) };
    const random = (n: number): Uint8Array => Uint8Array.from({ length: n }, () => wire.random.between(0, 255));
    return new PeerLink(
      { address: directorAddress(1 - this.#index), port: 8849, key: PEER_KEY },
      { ...ports, sockets, planes: [plane], random },
    );
  }
  #heard(r: CheckReport): void {
    if (this.verdicts.get(r.id) === r.verdict && !r.weight) return;
    this.kernel.version++;
    this.verdicts.set(r.id, r.verdict);
    if (r.weight) this.weights.set(r.id, r.weight);
  }

  #dead(): void {
    this.#wire?.silence(directorAddress(this.#index));
    this.#peer = undefined;
  }
  /** SIGKILL. */
  kill(): void {
    this.#dead();
    this.host.kill();
    this.#ports = undefined;
    this.director = undefined;
  }
  /** The process hands over in order. */
  leave(o: { readonly keep: boolean }): void {
    this.#peer?.close();
    this.director?.stop(o);
    this.kill();
  }
  powerOff(own: (a: string) => boolean): void {
    this.#dead();
    this.host.powerOff(own);
    this.#ports = undefined;
    this.director = undefined;
    this.kernel.clear();
    for (const m of [this.#memory, this.verdicts, this.weights, this.drained, this.told]) m.clear();
  }

  setAddress(address: string, here: boolean): void {
    const a = { ifindex: 2, prefix: { address: address as IpAddress, length: 32 }, scope: 'global' } as const;
    this.#ports?.network.apply([{ do: here ? 'address-replace' : 'address-remove', address: a }]);
    if (!here) this.host.removeAddress(address);
  }
}
