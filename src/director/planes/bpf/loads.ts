/** What servers have to do now, from the flow maps and the counters, and the weights that emulated schedulers make of it. */
import type { BpfMap } from '../../../host/index.ts';
import type { ServerCounters, ServerKey, WantedService } from '../../types.ts';
import { emulatedWeights, isFull, type Load } from '../nft/emulate.ts';
import { EMULATED } from '../nft/slots.ts';
import { countFlows, type Flows, type FlowTimeouts } from './flows.ts';
import { BYTES } from './layout.ts';
import type { ServerRow } from './tables.ts';

export const needsLoads = (s: WantedService): boolean =>
  EMULATED.has(s.scheduler) || s.servers.some((x) => (x.upperThreshold ?? 0) > 0);
const nameOf = (r: ServerRow): string => `${r.id} ${r.serial}`;

export class Loads {
  #flows: ReadonlyMap<string, Flows> | undefined;
  /** Servers over their limit of connections. */
  readonly #full = new Set<string>();

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
      const load: Load = {
        weight: x.weight,
        active: flows.active + (udp ? flows.inactive : 0),
        full: this.#full.has(nameOf(row)),
        ...(x.upperThreshold !== undefined && { upperThreshold: x.upperThreshold }),
        ...(x.lowerThreshold !== undefined && { lowerThreshold: x.lowerThreshold }),
      };
      if (isFull(load)) this.#full.add(nameOf(row));
      else this.#full.delete(nameOf(row));
      return load;
    });
    return emulatedWeights(s.scheduler, loads);
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
