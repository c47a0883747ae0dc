/** The flow maps as they are: how many connections each server has now. */
import type { BpfMap } from '../../../host/index.ts';

/** Seconds without a packet after which a flow no longer counts: IPVS's defaults for an established and a closed one, and UDP. */
export const IDLE = { open: 900, closed: 120, udp: 300 } as const;
export const UDP = 17;
export const CLOSED = 1;
/** The program's clock: CLOCK_MONOTONIC in units of 2^30 ns. */
export const UNIT_SECONDS = 2 ** 30 / 1e9;

export type Flows = { active: number; inactive: number };
export type FlowTimeouts = { readonly tcp?: number; readonly tcpfin?: number; readonly udp?: number };

/** `seen` of a flow that another director told of and that has not come by here. */
export const NEVER = 0;

/** By `id serial` of the server, so that flows of one that had its place before count for nobody. */
export function countFlows(maps: readonly BpfMap[], nowSeconds: number, t: FlowTimeouts): Map<string, Flows> {
  const out = new Map<string, Flows>();
  const now = Math.floor(nowSeconds / UNIT_SECONDS);
  for (const map of maps) {
    const protocolAt = map.shape.keyBytes - 4;
    map.each((key, value) => {
      const v = new DataView(value.buffer, value.byteOffset, value.length);
      const closed = v.getUint32(12, true) === CLOSED;
      const udp = key[protocolAt] === UDP;
      const most = udp ? (t.udp ?? IDLE.udp) : closed ? (t.tcpfin ?? IDLE.closed) : (t.tcp ?? IDLE.open);
      if (v.getUint32(8, true) === NEVER) return;
      if ((now - v.getUint32(8, true)) * UNIT_SECONDS > most) return;
      const name = `${v.getUint32(0, true)} ${v.getUint32(4, true)}`;
      let flows = out.get(name);
      if (!flows) {
        flows = { active: 0, inactive: 0 };
        out.set(name, flows);
      }
      if (closed || udp) flows.inactive++;
      else flows.active++;
    });
  }
  return out;
}
