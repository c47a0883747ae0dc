/** What servers have to do now, from the flow maps and the counters, and the weights that emulated schedulers make of it. */
import type { BpfMap } from '../../../host/index.ts';
import { emulate, type Load, looksAtLoad } from '../../ring/index.ts';
import type { ServerCounters, ServerKey, WantedService } from '../../types.ts';
import { countFlows, type Flows, type FlowTimeouts } from './flows.ts';
import { BYTES } from './layout.ts';
import type { ServerRow } from './tables.ts';

export const needsLoads = (s: WantedService): boolean =>
  s.scheduler === 'fo' || looksAtLoad(s.scheduler) || s.servers.some((x) => (x.upperThreshold ?? 0) > 0);
const nameOf = (r: ServerRow): string => `${r.id} ${r.serial}`;

export class Loads {
  #flows: ReadonlyMap<string, Flows> | undefined;
  /** Servers over their limit of connections. */
  readonly #full = new Set<string>();
  /** Connections of each service when its weights were last made. */
  readonly #before = new Map<string, number>();

  count(maps: readonly BpfMap[], nowSeconds: number, timeouts: FlowTimeouts): void {
    this.#flows = countFlows(maps, nowSeconds, timeouts);
  }
  /** As last counted; undefined before the first count, and for a server without flows. */
  of(r: ServerRow): Flows | undefined {
    return this.#flows?.get(nameOf(r));
  }
  /** In the order of the servers. */
  weights(s: WantedService, rows: readonly ServerRow[]): readonly number[] {
    if (!needsLoads(s)) return s.servers.map((x) => x.weight);
    const udp = s.match.by === 'address' && s.match.protocol === 'udp';
    const loads = s.servers.map((x, i): Load => {
      const row = rows[i] as ServerRow;
      const flows = this.of(row) ?? { active: 0, inactive: 0 };
      return {
        weight: x.weight,
        active: flows.active + (udp ? flows.inactive : 0),
        inactive: udp ? 0 : flows.inactive,
        ...(x.upperThreshold !== undefined && { upperThreshold: x.upperThreshold }),
        ...(x.lowerThreshold !== undefined && { lowerThreshold: x.lowerThreshold }),
      };
    });
    const total = loads.reduce((n, l) => n + l.active + l.inactive, 0);
    const arrivals = Math.max(loads.length, total - (this.#before.get(s.key) ?? 0));
    this.#before.set(s.key, total);
    const names = rows.map(nameOf);
    const { shares, overloaded } = emulate(s.scheduler, loads, {
      arrivals,
      overloaded: names.map((n) => this.#full.has(n)),
    });
    names.forEach((n, i) => {
      if (overloaded[i]) this.#full.add(n);
      else this.#full.delete(n);
    });
    return shares;
  }
}

type Sums = { packets: number; bytes: number; connections: number; closed: number };
/** Of all processors. */
export function sumCounters(value: Uint8Array | undefined): Sums {
  const out = { packets: 0, bytes: 0, connections: 0, closed: 0 };
  if (!value) return out;
  const v = new DataView(value.buffer, value.byteOffset, value.length);
  for (let at = 0; at < value.length; at += BYTES.counters) {
    out.packets += Number(v.getBigUint64(at, true));
    out.bytes += Number(v.getBigUint64(at + 8, true));
    out.connections += Number(v.getBigUint64(at + 16, true));
    out.closed += Number(v.getBigUint64(at + 24, true));
  }
  return out;
}

/** Of one server. `flows`: as last counted; where nobody counts, opened less closed is the best there is. */
export function countersOf(key: ServerKey, n: Sums, flows: Flows | undefined): ServerCounters {
  return {
    key,
    connections: n.connections,
    packetsIn: n.packets,
    bytesIn: n.bytes,
    packetsOut: 0,
    bytesOut: 0,
    active: flows?.active ?? Math.max(0, n.connections - n.closed),
    inactive: flows?.inactive ?? Math.min(n.closed, n.connections),
  };
}
