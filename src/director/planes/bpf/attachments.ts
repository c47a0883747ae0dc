/** On which devices the programs are, and that they stay there: adopted, replaced without a gap, made anew where a device came. */
import { err, ok, type Result } from '../../../base/index.ts';
import type { Bpf, BpfAttachment, BpfLink, BpfObject, BpfProgram, HostError, Link } from '../../../host/index.ts';

export type XdpMode = 'no' | 'native' | 'generic';

/** Ethernet devices that frames of others come in by: what is enslaved hands them to its master, which is one itself. */
export const carriesClients = (l: Link): boolean => l.hardware === 1 && !l.loopback && l.adminUp && l.master === 0;

type Place = { readonly ifindex: number; readonly where: BpfAttachment };
const textOf = (p: Place): string => `link-${p.ifindex}-${p.where}`;

export class Attachments {
  readonly #bpf: Bpf;
  readonly #folder: string;
  readonly #xdp: XdpMode;
  readonly #held = new Map<string, BpfLink>();

  constructor(bpf: Bpf, folder: string, xdp: XdpMode) {
    this.#bpf = bpf;
    this.#folder = folder;
    this.#xdp = xdp;
  }
  #program(o: BpfObject, where: BpfAttachment): BpfProgram {
    return o.programs.get(where === 'tc' ? 'tc_director' : 'xdp_director') as BpfProgram;
  }
  /** tc first: XDP leaves to it what it does not do itself. */
  #places(links: readonly Link[]): Place[] {
    return links.flatMap((l): Place[] => [
      { ifindex: l.ifindex, where: 'tc' },
      ...(this.#xdp === 'no' ? [] : [{ ifindex: l.ifindex, where: `xdp-${this.#xdp}` as const }]),
    ]);
  }

  /** Every device of `links` has the programs of `o`, no other device has. One result for each device that failed. */
  set(o: BpfObject, links: readonly Link[], programsChanged: boolean): Result<void, HostError> {
    const wanted = new Map(this.#places(links).map((p) => [textOf(p), p]));
    for (const [name, link] of this.#held) {
      if (wanted.has(name)) continue;
      link.detach();
      this.#held.delete(name);
    }
    let failed: Result<void, HostError> = ok(undefined);
    for (const [name, place] of wanted) {
      const done = this.#hold(name, place, this.#program(o, place.where), programsChanged);
      if (!done.ok) failed = done;
    }
    return failed;
  }
  #hold(name: string, place: Place, program: BpfProgram, programsChanged: boolean): Result<void, HostError> {
    const path = `${this.#folder}/${name}`;
    const known = this.#held.get(name);
    if (known && !programsChanged) return ok(undefined);
    const old = known ?? this.#bpf.adopt(path, place.ifindex, place.where);
    if (old?.replace(program).ok) {
      this.#held.set(name, old);
      return ok(undefined);
    }
    // The device of that number was another one.
    old?.detach();
    this.#held.delete(name);
    const made = this.#bpf.attach(program, place.ifindex, place.where);
    if (!made.ok) return made;
    const pinned = made.value.pin(path);
    if (!pinned.ok) {
      made.value.detach();
      return err(pinned.error);
    }
    this.#held.set(name, made.value);
    return ok(undefined);
  }

  close(o: { readonly keep: boolean }): void {
    for (const link of this.#held.values()) {
      if (o.keep) link.close();
      else link.detach();
    }
    this.#held.clear();
  }
}
