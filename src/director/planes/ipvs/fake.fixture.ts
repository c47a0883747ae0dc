/** A kernel's IPVS for tests of the driver: it understands the very bytes that are sent, and answers as the module does. */
import { err, ok } from '../../../base/index.ts';
import type { Netlink, NetlinkChannel, NetlinkOutcome, NetlinkRequest } from '../../../host/index.ts';
import {
  decodeIpvsDaemon,
  decodeIpvsDestination,
  decodeIpvsService,
  encodeGenericFamily,
  encodeIpvsDaemon,
  encodeIpvsDestination,
  encodeIpvsInfo,
  encodeIpvsService,
  encodeIpvsTimeouts,
  GENL_ID_CTRL,
  IPVS_CMD,
  type IpvsDaemon,
  type IpvsDestination,
  type IpvsService,
  type NetlinkMessage,
  NetlinkWriter,
} from '../../../wire/index.ts';
import { endpoint, ipvsKey } from './actual.ts';

const [ENOENT, ESRCH, EEXIST] = [2, 3, 17];
const FAMILY = 33;
const NO_IPVS = 'ENOENT';

type Pool = { service: IpvsService; servers: IpvsDestination[] };

export class FakeIpvs implements Netlink {
  module = true;
  readonly pools = new Map<string, Pool>();
  daemons: IpvsDaemon[] = [];
  /** Commands by their numbers, as they came. */
  readonly changes: number[] = [];
  dumps = 0;
  /** Says no to a change: an errno, or 0. */
  deny: (command: number, pool: string) => number = () => 0;

  open(): ReturnType<Netlink['open']> {
    const channel: NetlinkChannel = {
      transact: (requests) => requests.map((r) => this.#change(payload(r))),
      batch: () => [],
      dump: (r, _doing, begin, take) => {
        begin();
        for (const b of this.#dump(payload(r))) take(message(b));
        return ok(undefined);
      },
      pieces: (r, _doing, take) => () => {
        for (const b of this.#dump(payload(r))) take(message(b));
        return ok(true);
      },
      ask: (r, doing) => {
        if (r.type !== GENL_ID_CTRL) return ok([message(this.#answer(payload(r)))]);
        if (!this.module) return err({ code: NO_IPVS, doing });
        return ok([message(encodeGenericFamily({ id: FAMILY, name: 'IPVS', version: 1 }))]);
      },
      close: () => {},
    };
    return ok(channel);
  }

  #change(b: Uint8Array): NetlinkOutcome {
    const command = b[0] as number;
    this.changes.push(command);
    const service = decodeIpvsService(b);
    const key = service.ok ? ipvsKey(service.value.identity) : '';
    const errno = this.deny(command, key) || this.#do(command, b, key);
    return { errno };
  }
  #do(command: number, b: Uint8Array, key: string): number {
    const service = decodeIpvsService(b);
    const server = decodeIpvsDestination(b);
    const daemon = decodeIpvsDaemon(b);
    const pool = this.pools.get(key);
    switch (command) {
      case IPVS_CMD.newService:
        if (pool) return EEXIST as number;
        if (service.ok) this.pools.set(key, { service: service.value, servers: [] });
        return 0;
      case IPVS_CMD.setService:
        if (pool && service.ok) pool.service = service.value;
        return pool ? 0 : (ESRCH as number);
      case IPVS_CMD.delService:
        return this.pools.delete(key) ? 0 : (ESRCH as number);
      case IPVS_CMD.newDaemon:
        if (daemon.ok) this.daemons.push(daemon.value);
        return 0;
      case IPVS_CMD.delDaemon:
        if (daemon.ok) this.daemons = this.daemons.filter((d) => d.role !== daemon.value.role);
        return 0;
      case IPVS_CMD.flush:
        this.pools.clear();
        return 0;
      case IPVS_CMD.setConfig:
        return 0;
      default:
        return pool && server.ok ? this.#server(command, pool, server.value) : (ESRCH as number);
    }
  }
  #server(command: number, pool: Pool, server: IpvsDestination): number {
    const others = pool.servers.filter((s) => endpoint(s) !== endpoint(server));
    const there = others.length < pool.servers.length;
    if (there === (command === IPVS_CMD.newDestination)) return (there ? EEXIST : ENOENT) as number;
    pool.servers = command === IPVS_CMD.delDestination ? others : [server, ...others];
    return 0;
  }
  #dump(b: Uint8Array): Uint8Array[] {
    this.dumps++;
    const service = decodeIpvsService(b);
    switch (b[0]) {
      case IPVS_CMD.getService:
        return [...this.pools.values()].map((p) => encodeIpvsService(p.service));
      case IPVS_CMD.getDestination:
        return (service.ok ? (this.pools.get(ipvsKey(service.value.identity))?.servers ?? []) : []).map((d) =>
          encodeIpvsDestination({ ...d, counts: { active: 1, inactive: 2, persistent: 0 } }),
        );
      default:
        return this.daemons.map(encodeIpvsDaemon);
    }
  }
  #answer(b: Uint8Array): Uint8Array {
    return b[0] === IPVS_CMD.getInfo
      ? encodeIpvsInfo({ version: 0x010201, connectionTableSize: 4096 })
      : encodeIpvsTimeouts({ tcp: 900, tcpfin: 120, udp: 300 });
  }
}
function payload(r: Pick<NetlinkRequest, 'write'>): Uint8Array {
  const w = new NetlinkWriter();
  r.write(w);
  return w.done();
}
const message = (b: Uint8Array): NetlinkMessage => ({ type: FAMILY, flags: 0, sequence: 1, port: 0, payload: b });
