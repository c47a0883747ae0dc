/** On which devices the programs are, and that they stay there: adopted, replaced without a gap, made anew where a device came. */
import { err, ok, type Result, text } from '../../../base/index.ts';
import type { Bpf, BpfAttachment, BpfLink, BpfObject, BpfProgram, HostError, Link, Log } from '../../../host/index.ts';

export type XdpMode = 'no' | 'native' | 'generic';

const ETHERNET = 1;
/** Ethernet devices that frames of others come in by: what is enslaved hands them to its master, which is one itself. */
export const carriesClients = (l: Link): boolean =>
  l.hardware === ETHERNET && !l.loopback && l.adminUp && l.master === 0;

/**
 * A veth sends in its driver only while the far end has a program too, and what it sends there loses checksums that were
 * left to the hardware. Neither can be seen from this end, and every packet would be gone without a word.
 */
const sendsNowhere = (l: Link, xdp: XdpMode): boolean => xdp === 'native' && l.kind === 'veth';

const programAt = (where: BpfAttachment): string => (where === 'tc' ? 'tc_director' : 'xdp_director');
type Place = { readonly ifindex: number; readonly where: BpfAttachment };
const textOf = (p: Place): string => `link-${p.ifindex}-${p.where}`;

export class Attachments {
  readonly #bpf: Bpf;
  readonly #folder: string;
  readonly #xdp: XdpMode;
  readonly #log: Log;
  /** Devices of which it was said that tc alone does it. */
  readonly #leftToTc = new Set<number>();
  readonly #held = new Map<string, BpfLink>();
  /** Devices that an earlier process may have been on, and this one is not, have been looked at. */
  #swept = false;

  constructor(bpf: Bpf, folder: string, xdp: XdpMode, log: Log) {
    this.#log = log;
    this.#bpf = bpf;
    this.#folder = folder;
    this.#xdp = xdp;
  }
  /** tc first: XDP leaves to it what it does not do itself. */
  #places(links: readonly Link[]): Place[] {
    return links.flatMap((l): Place[] => [
      { ifindex: l.ifindex, where: 'tc' },
      ...(this.#xdp === 'no' || sendsNowhere(l, this.#xdp)
        ? []
        : [{ ifindex: l.ifindex, where: `xdp-${this.#xdp}` as const }]),
    ]);
  }

  /** Every device of `links` has the programs of `o`, no other of `all` has. The last failure, where a device failed. */
  set(o: BpfObject, links: readonly Link[], all: readonly Link[], programsChanged: boolean): Result<void, HostError> {
    const wanted = new Map(this.#places(links).map((p) => [textOf(p), p]));
    this.#sweep(wanted, all);
    for (const l of links) if (sendsNowhere(l, this.#xdp)) this.#tellOfTc(l);
    for (const [name, link] of this.#held) {
      if (wanted.has(name)) continue;
      link.detach();
      this.#held.delete(name);
    }
    let failed: Result<void, HostError> = ok(undefined);
    for (const [name, place] of wanted) {
      const done = this.#hold(name, place, o.programs.get(programAt(place.where)) as BpfProgram, programsChanged);
      if (!done.ok) failed = done;
    }
    return failed;
  }
  #tellOfTc(l: Link): void {
    if (this.#leftToTc.has(l.ifindex)) return;
    this.#leftToTc.add(l.ifindex);
    const words = text(
      `no native XDP on ${l.name}: a veth sends by it only while its other end, which cannot be seen from here, has a program too; tc does it`,
      `${l.name} 不使用原生 XDP：veth 仅在其对端（此处不可见）也有程序时才能发送；改由 tc 承担`,
    );
    this.#log.write({ level: 'warning', code: 'lb.bpf-xdp', text: words });
  }
  /** What an earlier process left where this one has nothing. */
  #sweep(wanted: ReadonlyMap<string, Place>, all: readonly Link[]): void {
    if (this.#swept) return;
    this.#swept = true;
    for (const { ifindex, hardware } of all) {
      if (hardware !== ETHERNET) continue;
      for (const where of ['tc', 'xdp-native', 'xdp-generic'] as const) {
        const name = textOf({ ifindex, where });
        if (!wanted.has(name)) this.#bpf.adopt(`${this.#folder}/${name}`, ifindex, where, programAt(where))?.detach();
      }
    }
  }
  #hold(name: string, place: Place, program: BpfProgram, programsChanged: boolean): Result<void, HostError> {
    const path = `${this.#folder}/${name}`;
    const known = this.#held.get(name);
    if (known && !programsChanged) return ok(undefined);
    const old = known ?? this.#bpf.adopt(path, place.ifindex, place.where, program.name);
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
