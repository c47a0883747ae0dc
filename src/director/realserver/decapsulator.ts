/** Ends tunnels on a real server by a program on its devices: no ipip, fou or gre module, no device to set up. */
import { err, familyOf, type IpAddress, ipBytes, ok, type Result } from '../../base/index.ts';
import type { Bpf, BpfLink, BpfMap, BpfObject, HostError } from '../../host/index.ts';

const MAPS = ['endpoints', 'vips'] as const;
type Name = (typeof MAPS)[number];
const PROGRAM = 'tc_decap';

export type DecapsulatorWanted = {
  readonly vips: readonly IpAddress[];
  readonly endpoints: readonly IpAddress[];
  /** UDP port of GUE; 0: none is taken. */
  readonly guePort: number;
  /** Devices that the tunnels come in by. */
  readonly ifindexes: readonly number[];
};

function key(a: IpAddress): Uint8Array {
  const b = new Uint8Array(20);
  b.set(ipBytes(a));
  b[16] = familyOf(a);
  return b;
}

export class Decapsulator {
  readonly #bpf: Bpf;
  readonly #folder: string;
  readonly #links = new Map<number, BpfLink>();
  #object: BpfObject | undefined;

  /** `folder`: where maps and links are pinned: an earlier process's are taken over without a gap. */
  constructor(bpf: Bpf, folder: string) {
    this.#bpf = bpf;
    this.#folder = folder;
  }
  #open(): Result<BpfObject, HostError> {
    if (this.#object) return ok(this.#object);
    const mounted = this.#bpf.mount(this.#folder);
    if (!mounted.ok) return mounted;
    const use = new Map<string, BpfMap>();
    for (const name of MAPS) {
      const found = this.#bpf.openMap(`${this.#folder}/${name}`);
      if (found.ok) use.set(name, found.value);
    }
    const object = this.#bpf.load('decap', { programs: [PROGRAM], use });
    if (!object.ok) return object;
    for (const name of MAPS) {
      const pinned = use.has(name)
        ? ok(undefined)
        : (object.value.maps.get(name) as BpfMap).pin(`${this.#folder}/${name}`);
      if (!pinned.ok) return pinned;
    }
    this.#object = object.value;
    return object;
  }

  set(w: DecapsulatorWanted): Result<void, HostError> {
    const object = this.#open();
    if (!object.ok) return object;
    const port = new Uint8Array(4);
    new DataView(port.buffer).setUint16(0, w.guePort);
    const filled = [this.#fill('endpoints', w.endpoints, port), this.#fill('vips', w.vips, new Uint8Array(4))].find(
      (r) => !r.ok,
    );
    return filled ?? this.#attach(object.value, w.ifindexes);
  }
  #fill(name: Name, addresses: readonly IpAddress[], value: Uint8Array): Result<void, HostError> {
    const map = this.#object?.maps.get(name) as BpfMap;
    const gone: Uint8Array[] = [];
    const wanted = addresses.map(key);
    const read = map.each((k) => {
      if (!wanted.some((w) => w.every((b, i) => b === k[i]))) gone.push(k.slice());
    });
    if (!read.ok) return read;
    for (const k of wanted) {
      const done = map.set(k, value);
      if (!done.ok) return done;
    }
    for (const k of gone) map.remove(k);
    return ok(undefined);
  }
  #attach(object: BpfObject, ifindexes: readonly number[]): Result<void, HostError> {
    const program = object.programs.get(PROGRAM);
    for (const [ifindex, link] of this.#links) {
      if (ifindexes.includes(ifindex)) continue;
      link.detach();
      this.#links.delete(ifindex);
    }
    for (const ifindex of ifindexes) {
      if (this.#links.has(ifindex) || !program) continue;
      const path = this.#path(ifindex);
      const old = this.#bpf.adopt(path, ifindex, 'tc', PROGRAM);
      if (old?.replace(program).ok) {
        this.#links.set(ifindex, old);
        continue;
      }
      old?.detach();
      const made = this.#bpf.attach(program, ifindex, 'tc');
      const pinned = made.ok ? made.value.pin(path) : made;
      if (!pinned.ok || !made.ok) return pinned.ok ? err((made as { error: HostError }).error) : pinned;
      this.#links.set(ifindex, made.value);
    }
    return ok(undefined);
  }

  /** Takes off these devices what an earlier process left there, and then all of its own. */
  remove(ifindexes: readonly number[]): void {
    const left = this.#bpf.openMap(`${this.#folder}/${MAPS[0]}`);
    if (left.ok) {
      left.value.close();
      for (const i of ifindexes) if (!this.#links.has(i)) this.#bpf.adopt(this.#path(i), i, 'tc', PROGRAM)?.detach();
    }
    this.close({ keep: false });
  }
  #path(ifindex: number): string {
    return `${this.#folder}/link-${ifindex}-tc`;
  }
  close(o: { readonly keep: boolean }): void {
    for (const link of this.#links.values()) {
      if (o.keep) link.close();
      else link.detach();
    }
    if (!o.keep) for (const name of MAPS) this.#bpf.unpin(`${this.#folder}/${name}`);
    this.#links.clear();
    this.#object?.close();
    this.#object = undefined;
  }
}
