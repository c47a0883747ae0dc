/** What the kernel's IPVS table holds, and how it is read. */
import { err, formatEndpoint, ok, type Result, text } from '../../../base/index.ts';
import type { HostError, NetlinkChannel } from '../../../host/index.ts';
import {
  decodeIpvsDaemon,
  decodeIpvsDestination,
  decodeIpvsInfo,
  decodeIpvsService,
  decodeIpvsTimeouts,
  IPVS_CMD,
  type IpvsDaemon,
  type IpvsDestination,
  type IpvsIdentity,
  type IpvsInfo,
  type IpvsService,
  type IpvsTimeouts,
  type NetlinkMessage,
  writeIpvsHead,
  writeIpvsIdentity,
} from '../../../wire/index.ts';

/** `tcp 192.168.1.99:80`, `fwmark 3 ipv4`: a service of the kernel, by what it is known by there. */
export type IpvsKey = string;
/** A service of the kernel with its servers. */
export type IpvsPool = { readonly service: IpvsService; readonly servers: readonly IpvsDestination[] };
export type IpvsTable = {
  readonly pools: ReadonlyMap<IpvsKey, IpvsPool>;
  readonly daemons: readonly IpvsDaemon[];
  readonly timeouts: IpvsTimeouts;
};

const PROTOCOL: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
export const endpoint = (d: Pick<IpvsDestination, 'address' | 'port'>): string => formatEndpoint(d.address, d.port);
export const ipvsKey = (i: IpvsIdentity): IpvsKey =>
  i.by === 'fwmark' ? `fwmark ${i.mark} ipv${i.family}` : `${PROTOCOL[i.protocol] ?? i.protocol} ${endpoint(i)}`;

type Answer<T> = Result<T, HostError>;
type Decode<T> = (b: Uint8Array) => Result<T, { readonly kind: string }>;

/** A channel that knows the number by which the kernel calls the family. */
export class IpvsReader {
  readonly #channel: NetlinkChannel;
  readonly #family: number;
  constructor(channel: NetlinkChannel, family: number) {
    this.#channel = channel;
    this.#family = family;
  }

  services(): Answer<IpvsService[]> {
    return this.#dump(IPVS_CMD.getService, undefined, decodeIpvsService);
  }
  /** Newest first, as the kernel lists them. */
  servers(of: IpvsIdentity): Answer<IpvsDestination[]> {
    return this.#dump(IPVS_CMD.getDestination, of, decodeIpvsDestination);
  }
  daemons(): Answer<IpvsDaemon[]> {
    return this.#dump(IPVS_CMD.getDaemon, undefined, decodeIpvsDaemon);
  }
  timeouts(): Answer<IpvsTimeouts> {
    return this.#ask(IPVS_CMD.getConfig, decodeIpvsTimeouts);
  }
  info(): Answer<IpvsInfo> {
    return this.#ask(IPVS_CMD.getInfo, decodeIpvsInfo);
  }
  /** Services with their servers; with `only`, no others' servers are asked for. */
  pools(only?: (key: IpvsKey) => boolean): Answer<Map<IpvsKey, IpvsPool>> {
    const services = this.services();
    if (!services.ok) return services;
    const pools = new Map<IpvsKey, IpvsPool>();
    for (const service of services.value) {
      const key = ipvsKey(service.identity);
      if (only?.(key) === false) continue;
      const servers = this.servers(service.identity);
      if (servers.ok) pools.set(key, { service, servers: servers.value });
      else if (servers.error.code !== 'ESRCH') return servers; // gone since it was listed
    }
    return ok(pools);
  }
  table(only: (key: IpvsKey) => boolean): Answer<IpvsTable & { readonly pools: Map<IpvsKey, IpvsPool> }> {
    const pools = this.pools(only);
    if (!pools.ok) return pools;
    const daemons = this.daemons();
    if (!daemons.ok) return daemons;
    const timeouts = this.timeouts();
    if (!timeouts.ok) return timeouts;
    return ok({ pools: pools.value, daemons: daemons.value, timeouts: timeouts.value });
  }

  #dump<T>(command: number, of: IpvsIdentity | undefined, decode: Decode<T>): Answer<T[]> {
    const found: T[] = [];
    let wrong: string | undefined;
    const read = this.#channel.dump(
      {
        type: this.#family,
        write: (w) => {
          writeIpvsHead(w, command);
          if (of !== undefined) writeIpvsIdentity(w, of);
        },
      },
      READ,
      () => {
        found.length = 0;
        wrong = undefined;
      },
      (m: NetlinkMessage) => {
        const got = decode(m.payload.slice());
        if (got.ok) found.push(got.value);
        else wrong ??= got.error.kind;
      },
    );
    if (!read.ok) return read;
    return wrong === undefined ? ok(found) : err(malformed(wrong));
  }
  #ask<T>(command: number, decode: Decode<T>): Answer<T> {
    const answer = this.#channel.ask(
      { type: this.#family, flags: 0, write: (w) => void writeIpvsHead(w, command) },
      READ,
    );
    if (!answer.ok) return answer;
    const got = decode(answer.value[0]?.payload ?? new Uint8Array(0));
    return got.ok ? got : err(malformed(got.error.kind));
  }
}

const READ = text('read the IPVS table', '读取 IPVS 表');
const malformed = (kind: string): HostError => ({
  code: 'EBADMSG',
  doing: text(`${READ.en}: an answer is not as it should be (${kind})`, `${READ.zh}：应答格式不符（${kind}）`),
});
