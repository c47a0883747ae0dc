import { type Microseconds, text } from '../base/index.ts';
import { LabError } from './error.ts';
import { IpShell } from './ip-shell.ts';
import { destroy, entrance, type Namespace, startFabric } from './namespace.ts';
import {
  bridgedName,
  bridgeLines,
  bridgeName,
  cutRules,
  isSlow,
  type Port,
  type PortState,
  plugLines,
  portsOf,
  relayEnd,
  relayLines,
  relayPort,
  switchesOf,
  untouched,
} from './plan.ts';
import { now, type Program, start } from './program.ts';
import { Relay } from './relay.ts';
import type { LabDefinition, SwitchDefinition } from './types.ts';

/** The network namespace that holds every switch and the switches' end of every cable: nothing of a lab is visible outside. */
export class Fabric {
  readonly namespace: Namespace;
  readonly ports: readonly Port[];
  readonly #ip: IpShell;
  readonly #switches: readonly SwitchDefinition[];
  readonly #states = new Map<Port, PortState>();
  /** Bridges beyond the first of each switch, made when a switch is first partitioned. */
  readonly #parts = new Set<string>();
  readonly #relays = new Map<Port, Relay>();

  private constructor(namespace: Namespace, definition: LabDefinition) {
    this.namespace = namespace;
    this.ports = portsOf(definition);
    this.#switches = switchesOf(definition);
    const inside = [...entrance(namespace), 'sh', '-c', 'exec "$@" 2>&1', 'sh'];
    this.#ip = new IpShell(start(inside, ['ip', '-force', '-batch', '-'], { input: 'pipe' }));
  }

  static async start(definition: LabDefinition): Promise<Fabric> {
    const fabric = new Fabric(await startFabric(), definition);
    await fabric.#ip.run(['link set lo up', ...fabric.#switches.flatMap((s, i) => bridgeLines(i, 0, s))]);
    return fabric;
  }

  stop(): Promise<void> {
    return destroy(this.namespace);
  }

  /** A program beside the switches: tcpdump, a relay. */
  spawn(argv: readonly string[], input: 'pipe' | 'ignore' = 'ignore'): Program {
    return start(entrance(this.namespace), argv, { input });
  }

  state(port: Port): PortState {
    return this.#states.get(port) ?? untouched;
  }

  /** Plugs cables into a host that has just been started. What was done to the ports before stays in force. */
  async plug(ports: readonly Port[], host: Namespace): Promise<void> {
    await this.#ip.run(
      ports.flatMap((p) => {
        const lines = plugLines(p, this.#bridge(p), host.pidAround);
        return this.state(p).unplugged ? [...lines, `link set ${p.name} down`] : lines;
      }),
    );
    for (const p of ports.filter((q) => isSlow(this.state(q)))) {
      await this.#startRelay(p);
      await this.#ip.run(this.#intoBridge(p));
    }
  }

  /** From the returned moment no frame leaves or reaches the ports' hosts. */
  async silence(ports: readonly Port[]): Promise<Microseconds> {
    await this.#ip.run(ports.map((p) => `link set ${p.name} down`));
    return now();
  }

  /** Takes the cables away, so that their names are free: the kernel does it too, but some time after the host has ended. */
  async unplug(ports: readonly Port[]): Promise<void> {
    for (const p of ports) await this.#stopRelay(p);
    await this.#ip.remove(ports.map((p) => p.name));
  }

  /** Brings ports into new states with one change of the rules and one of the links; resolves with the moment when it was in force. */
  async change(changes: ReadonlyMap<Port, PortState>, present: (p: Port) => boolean): Promise<Microseconds> {
    const before = new Map([...changes.keys()].map((p) => [p, this.state(p)]));
    for (const [p, s] of changes) this.#states.set(p, s);
    const lines: string[] = [];
    const slower: Port[] = [];
    const freed: Port[] = [];
    let ruled = false;
    for (const [p, s] of changes) {
      const was = before.get(p) ?? untouched;
      const moved = was.segment !== s.segment;
      const swapped = isSlow(was) !== isSlow(s);
      ruled ||= was.cut.in !== s.cut.in || was.cut.out !== s.cut.out || swapped;
      if (moved) lines.push(...this.#missingPart(p));
      if (!present(p)) continue;
      if (moved || swapped) lines.push(...this.#intoBridge(p));
      if (was.unplugged !== s.unplugged) lines.push(`link set ${p.name} ${s.unplugged ? 'down' : 'up'}`);
      if (isSlow(s)) slower.push(p);
      else if (isSlow(was)) freed.push(p);
    }
    for (const p of slower) await this.#startRelay(p);
    if (ruled) await this.#loadRules();
    await this.#ip.run(lines);
    const inForce = now();
    for (const p of freed) await this.#stopRelay(p);
    return inForce;
  }

  /** Starts the port's relay, or tells the running one how slow to be. Until it is on the bridge nothing comes of it. */
  async #startRelay(port: Port): Promise<void> {
    const running = this.#relays.get(port);
    if (running) return running.set(this.state(port).slow);
    await this.#ip.run(relayLines(port));
    this.#relays.set(port, await Relay.start(this, port.name, relayEnd(port), this.state(port).slow));
  }
  async #stopRelay(port: Port): Promise<void> {
    await this.#relays.get(port)?.stop();
    if (this.#relays.delete(port)) await this.#ip.remove([relayPort(port)]);
  }

  /** What of a port is on the bridge, and what is not. */
  #intoBridge(port: Port): readonly string[] {
    const state = this.state(port);
    const away = isSlow(state) ? [`link set ${port.name} nomaster`] : [];
    return [...away, `link set ${bridgedName(port, state)} master ${this.#bridge(port)}`];
  }
  #bridge(port: Port): string {
    return bridgeName(this.#switchIndex(port), this.state(port).segment);
  }
  #switchIndex(port: Port): number {
    return this.#switches.findIndex((s) => s.name === port.definition.to);
  }
  #missingPart(port: Port): readonly string[] {
    const name = this.#bridge(port);
    const segment = this.state(port).segment;
    if (segment === 0 || this.#parts.has(name)) return [];
    this.#parts.add(name);
    const index = this.#switchIndex(port);
    return bridgeLines(index, segment, this.#switches[index] as SwitchDefinition);
  }

  async #loadRules(): Promise<void> {
    const nft = this.spawn(['nft', '-f', '-'], 'pipe');
    nft.write(cutRules(this.ports.map((port) => ({ port, state: this.state(port) }))));
    nft.endInput();
    const exit = await nft.exited;
    if (exit.code === 0) return;
    const why = nft.text('stderr').trim();
    throw new LabError('lab-nft', text(`nft refused: ${why}`, `nft 拒绝：${why}`));
  }
}
