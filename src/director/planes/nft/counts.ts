/** What the kernel counted: packets by mark, and the connections that are there now. */
import { ok, type Result, text } from '../../../base/index.ts';
import type { HostError, NetlinkChannel } from '../../../host/index.ts';
import { CT_MSG, decodeConntrack, writeConntrackFilter } from '../../../wire/index.ts';
import type { ServiceCounters } from '../../types.ts';
import { MARK_MASK, MARK_TAG, serverMark } from '../marks.ts';
import { readValues } from '../nftables/index.ts';
import { flows } from './direct.ts';
import type { Half } from './half.ts';
import { counterSets } from './sets.ts';

export type Active = { active: number; inactive: number };
/** By mark. */
export type ActiveCounts = ReadonlyMap<number, Active>;
type Counted = { readonly packets: number; readonly bytes: number };

const markOf = (b: Uint8Array): number | undefined => readValues(['mark'], b)?.[0] as number | undefined;

/** Connections by mark: conntrack's entries, and the flows of direct routing. `read`: how many there were in all. */
export function countActive(
  channel: NetlinkChannel,
  o: { readonly nat: boolean; readonly direct: Half | undefined; readonly finMs: number },
): Result<{ readonly active: ActiveCounts; readonly read: number }, HostError> {
  const active = new Map<number, Active>();
  let read = 0;
  const add = (mark: number, established: boolean): void => {
    read++;
    const a = active.get(mark) ?? { active: 0, inactive: 0 };
    if (established) a.active++;
    else a.inactive++;
    active.set(mark, a);
  };
  if (o.nat) {
    const done = channel.dump(
      { type: CT_MSG.get, write: (w) => writeConntrackFilter(w, { mark: MARK_TAG, mask: MARK_MASK }) },
      text('read connections', '读取连接表'),
      () => {
        active.clear();
        read = 0;
      },
      (m) => {
        const e = decodeConntrack(m.payload);
        if (e.ok) add(e.value.mark, e.value.tcpState === undefined || e.value.tcpState === 'established');
      },
    );
    if (!done.ok) return done;
  }
  for (const set of o.direct === undefined ? [] : [flows[4], flows[6]]) {
    const done = o.direct?.kernel.elements(set.name, (e) => {
      const mark = e.data && markOf(e.data);
      if (mark !== undefined) add(mark, e.timeoutMs !== o.finMs);
    });
    if (done?.ok === false) return done;
  }
  return ok({ active, read });
}

function counted(half: Half, ...sets: readonly string[]): Result<ReadonlyMap<number, Counted>, HostError> {
  const found = new Map<number, Counted>();
  for (const set of sets) {
    const done = half.kernel.elements(set, (e) => {
      const mark = markOf(e.key);
      if (e.counter !== undefined && mark !== undefined)
        found.set(mark, { packets: Number(e.counter.packets), bytes: Number(e.counter.bytes) });
    });
    if (!done.ok) return done;
  }
  return ok(found);
}
/** `answers`: the table sees both directions. */
export function countersOf(
  half: Half,
  answers: boolean,
  active: ActiveCounts,
): Result<readonly ServiceCounters[], HostError> {
  if (half.services.length === 0) return ok([]);
  const connections = counted(half, ...half.connectionSets);
  const inside = counted(half, counterSets.in.name);
  const outside = answers ? counted(half, counterSets.out.name) : ok(new Map<number, Counted>());
  if (!connections.ok) return connections;
  if (!inside.ok) return inside;
  if (!outside.ok) return outside;
  return ok(
    half.services.map((s) => {
      const image = half.image(s.key);
      const servers = s.servers.map((x, i) => {
        const mark = serverMark(image?.id ?? 0, image?.servers[i]?.number ?? 0);
        const [to, from] = [inside.value.get(mark), outside.value.get(mark)];
        return {
          key: x.key,
          connections: connections.value.get(mark)?.packets ?? 0,
          packetsIn: to?.packets ?? 0,
          bytesIn: to?.bytes ?? 0,
          packetsOut: from?.packets ?? 0,
          bytesOut: from?.bytes ?? 0,
          ...(active.get(mark) ?? { active: 0, inactive: 0 }),
        };
      });
      return { key: s.key, servers };
    }),
  );
}
