import { type Microseconds, text } from '../base/index.ts';
import { checkDefinition } from './definition.ts';
import { LabError } from './error.ts';
import { Fabric } from './fabric.ts';
import { Host } from './host.ts';
import { Link } from './link.ts';
import { hostsFile, type Port, type PortState, segmentsOf, untouched } from './plan.ts';
import type { LabDefinition } from './types.ts';

/**
 * Hosts joined by switches, made of namespaces. Everything is gone with `stop`, and with the process that started it,
 * however that ends. Any number of labs may run beside each other.
 */
export class Lab {
  readonly definition: LabDefinition;
  readonly hosts: ReadonlyMap<string, Host>;
  readonly #fabric: Fabric;
  readonly #links: ReadonlyMap<string, Link>;

  private constructor(definition: LabDefinition, fabric: Fabric) {
    this.definition = definition;
    this.#fabric = fabric;
    this.hosts = new Map(
      Object.entries(definition.hosts).map(([name, h]) => {
        const defaults = { '/etc/hosts': hostsFile(definition, name) };
        return [name, new Host(fabric, name, h, defaults)] as const;
      }),
    );
    this.#links = new Map(
      fabric.ports.map((p) => {
        const link = new Link(fabric, this.host(p.host), p);
        return [link.name, link] as const;
      }),
    );
  }

  /** Resolves when every host has power and its addresses. Rejects with LabError, and then leaves nothing behind. */
  static async start(definition: LabDefinition): Promise<Lab> {
    const checked = checkDefinition(definition);
    if (!checked.ok) {
      const [en, zh] = (['en', 'zh'] as const).map((l) => checked.error.map((d) => d.message[l]).join('\n'));
      throw new LabError('lab-definition', text(en ?? '', zh ?? ''));
    }
    const fabric = await Fabric.start(definition);
    const lab = new Lab(definition, fabric);
    const started = await Promise.allSettled([...lab.hosts.values()].map((h) => h.powerOn()));
    const failed = started.find((s) => s.status === 'rejected');
    if (failed) {
      await lab.stop();
      throw failed.reason;
    }
    return lab;
  }

  /** Ends every process of every host; nothing is left. */
  async stop(): Promise<void> {
    await this.#fabric.stop();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Throws LabError where the definition has no such host. */
  host(name: string): Host {
    const found = this.hosts.get(name);
    if (!found) {
      const known = [...this.hosts.keys()].join(', ');
      throw new LabError(
        'lab-no-such-host',
        text(`no host '${name}' (known: ${known})`, `没有主机“${name}”（可用：${known}）`),
      );
    }
    return found;
  }

  link(host: string, link: string): Link {
    const found = this.#links.get(`${host}:${link}`);
    if (!found) {
      const known = [...this.#links.keys()].join(', ');
      throw new LabError(
        'lab-no-such-link',
        text(`no link '${host}:${link}' (known: ${known})`, `没有链路“${host}:${link}”（可用：${known}）`),
      );
    }
    return found;
  }

  /**
   * Splits every switch, as a broken cable between its halves would: hosts of different groups no longer reach each
   * other, each half learns addresses by itself, and nobody loses carrier. A member is a host or one of its links
   * (`d1:ens33`); hosts not named form one further group. Replaces an earlier partition; `heal` undoes it.
   */
  async partition(groups: readonly (readonly string[])[]): Promise<Microseconds> {
    const { segments, unknown } = segmentsOf(this.#fabric.ports, groups);
    const first = unknown[0];
    if (first !== undefined)
      throw new LabError('lab-no-such-host', text(`no host or link '${first}'`, `没有主机或链路“${first}”`));
    return this.#changeAll((p) => ({ ...this.#fabric.state(p), segment: segments.get(p) ?? 0 }));
  }

  /** Undoes every partition, cut and slowness. Hosts without power stay so. */
  heal(): Promise<Microseconds> {
    return this.#changeAll(() => untouched);
  }

  #changeAll(next: (p: Port) => PortState): Promise<Microseconds> {
    const changes = new Map(this.#fabric.ports.map((p) => [p, next(p)]));
    return this.#fabric.change(changes, (p) => this.host(p.host).powered);
  }
}
