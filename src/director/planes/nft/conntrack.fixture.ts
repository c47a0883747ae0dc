/** Connection tracking for unit tests: entries by their tuple, changed and read through requests as the kernel takes them. */
import { type IpAddress, ok } from '../../../base/index.ts';
import type { Netlink, NetlinkChannel, NetlinkEvents, NetlinkRequest } from '../../../host/index.ts';
import {
  type ConntrackEntry,
  CT_MSG,
  decodeConntrack,
  encodeConntrack,
  NetlinkWriter,
  NLM_F,
} from '../../../wire/index.ts';
import type { FlowException, WantedService } from '../../types.ts';
import { serverMark } from '../marks.ts';
import { tupleId } from './connections.ts';
import type { Carried } from './exceptions.ts';
import { imageOf } from './image.ts';
import { natMode } from './nat.ts';

export const VIP = '192.0.2.99' as IpAddress;
const ID = 5;
/** Three servers in turn; `entry` and `flow` are of the connection of client n to server s. */
export const service = {
  key: `tcp ${VIP}:80`,
  match: { by: 'address', protocol: 'tcp', ranges: [{ from: VIP, to: VIP }], port: 80 },
  scheduler: 'rr',
  flags: [],
  onePacket: false,
  servers: [1, 2, 3].map((n) => ({
    key: `10.0.0.${n}:8080`,
    address: `10.0.0.${n}` as IpAddress,
    port: 8080,
    weight: 1,
    forwarding: { method: 'nat' },
  })),
} as WantedService;
const image = imageOf(natMode, service, ID, undefined, { device: () => 0 });
export const carried: Carried = {
  services: [service],
  service: (key) => (key === service.key ? service : undefined),
  image: (key) => (key === service.key ? image : undefined),
};
export const mark = (s: number): number => serverMark(ID, s);
const client = (n: number): IpAddress => `198.51.100.${n}` as IpAddress;
export const entry = (n: number, s: number): ConntrackEntry => ({
  family: 4,
  original: { source: client(n), destination: VIP, protocol: 6, sourcePort: 4000, destinationPort: 80 },
  reply: {
    source: `10.0.0.${s}` as IpAddress,
    destination: client(n),
    protocol: 6,
    sourcePort: 8080,
    destinationPort: 4000,
  },
  status: 0x2e,
  mark: mark(s),
  tcpState: 'established',
});
export const flow = (n: number, s: number): FlowException => ({
  service: service.key,
  server: `10.0.0.${s}:8080`,
  client: client(n),
  clientPort: 4000,
  address: VIP,
  port: 80,
});

const [ENOENT, EEXIST] = [2, 17];
const bytesOf = (r: Pick<NetlinkRequest, 'write'>): Uint8Array => {
  const w = new NetlinkWriter();
  r.write(w);
  return w.done();
};
export class FakeConntrack {
  readonly entries = new Map<string, ConntrackEntry>();
  /** How often the whole table was read. */
  readings = 0;
  readonly sysctls: Record<string, string> = {};
  #hears: ((m: never) => void) | undefined;

  /** `n 10.0.0.s told`: what there is, by client. */
  get lines(): string[] {
    return [...this.entries.values()]
      .map((e) => `${e.original.source.split('.').at(-1)} at ${e.mark & 0xfff}${e.mark >>> 28 === 0xb ? ' told' : ''}`)
      .sort();
  }
  put(e: ConntrackEntry): void {
    this.entries.set(tupleId(e.original), e);
  }
  /** The kernel tells of an entry that came, or ended. */
  tell(e: ConntrackEntry, o: { readonly ended?: boolean } = {}): void {
    if (o.ended) this.entries.delete(tupleId(e.original));
    else this.put(e);
    this.#hears?.({ type: o.ended ? CT_MSG.delete : CT_MSG.new, payload: encodeConntrack(e) } as never);
  }
  #take(r: NetlinkRequest): number {
    // A change names the tuple alone: what it does not say stands before it, and of attributes the last counts.
    const [rest, said] = [encodeConntrack(entry(1, 1)), bytesOf(r)];
    const whole = (r.flags & NLM_F.create) !== 0;
    const e = decodeConntrack(whole ? said : Uint8Array.of(...rest, ...said.subarray(4)));
    if (!e.ok) throw new Error(JSON.stringify(e.error));
    const id = tupleId(e.value.original);
    const have = this.entries.get(id);
    if (whole && have !== undefined) return EEXIST;
    if (!whole && have === undefined) return ENOENT;
    if (r.type === CT_MSG.delete) this.entries.delete(id);
    else this.entries.set(id, whole ? e.value : { ...(have as ConntrackEntry), ...changed(e.value, said) });
    return 0;
  }
  readonly channel = {
    transact: (all: readonly NetlinkRequest[]) => all.map((r) => ({ errno: this.#take(r) })),
    pieces: (_r: unknown, _doing: unknown, take: (m: { readonly payload: Uint8Array }) => void) => () => {
      this.readings++;
      for (const e of this.entries.values()) take({ payload: encodeConntrack(e) });
      return ok(true);
    },
    close: () => {},
  } as unknown as NetlinkChannel;
  readonly netlink = {
    open: () => ok(this.channel),
    listen: (_family: unknown, _groups: unknown, on: { readonly take: (m: never) => void }) => {
      this.#hears = on.take;
      return ok(() => {});
    },
  } as unknown as Netlink & NetlinkEvents;
}
const MARK_SAID = 8; // CTA_MARK
/** What a change says: its mark, where it has one, and the time. */
function changed(e: ConntrackEntry, said: Uint8Array): Partial<ConntrackEntry> {
  const view = new DataView(said.buffer, said.byteOffset, said.length);
  const types = new Set<number>();
  for (let at = 4; at < said.length; at += (view.getUint16(at, true) + 3) & ~3)
    types.add(view.getUint16(at + 2, true) & 0x3fff);
  return { ...(types.has(MARK_SAID) && { mark: e.mark }), ...(e.timeout !== undefined && { timeout: e.timeout }) };
}
