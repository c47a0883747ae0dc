import { unreachable } from '../../../base/index.ts';
import type { Change } from './plan.ts';
import { entryText, type Hashing, type ServerRow, type Way } from './tables.ts';

function wayText(w: Way): string {
  switch (w.send) {
    case 'here':
      return 'on this host';
    case 'direct':
      return `direct by interface ${w.ifindex}`;
    case 'gue':
      return `gue to port ${w.guePort} from ${w.source} by interface ${w.ifindex} mtu ${w.mtu}`;
    case 'ipip':
    case 'gre':
      return `${w.send} from ${w.source} by interface ${w.ifindex} mtu ${w.mtu}`;
    default:
      return unreachable(w);
  }
}
const serverText = (r: ServerRow): string =>
  `${r.address}${r.port === 0 ? '' : ` port ${r.port}`} weight ${r.weight} ${wayText(r.way)} serial ${r.serial}`;
function hashText(h: Hashing): string {
  const parts = [
    h.source && `source/${h.sourceBits}`,
    h.sourcePort && 'source port',
    h.destination && 'destination',
    h.destinationPort && 'destination port',
  ];
  return parts.filter((p) => p !== false).join(', ');
}
/** `3 x 341, 1 x 340`: how many slots each server has. */
function shares(slots: Uint32Array): string {
  const count = new Map<number, number>();
  for (const s of slots) count.set(s, (count.get(s) ?? 0) + 1);
  return [...count]
    .sort((a, b) => a[0] - b[0])
    .map(([id, n]) => `server ${id} x ${n}`)
    .join(', ');
}

/** One line for each change, the same for the same plan: for logs and golden files. */
export function describeChange(c: Change): string {
  switch (c.do) {
    case 'server-set':
      return `servers[${c.row.id}] = ${serverText(c.row)} (service ${c.service})`;
    case 'ring-set':
      return `rings[${c.block}] = ${c.slots.length} slots of service ${c.of}: ${shares(c.slots)}`;
    case 'service-set': {
      const { table: t } = c;
      const extra = `${t.stateless ? ', stateless' : ''}${t.inTurn ? ', in turn' : ''}`;
      const ring = t.ring.length === 0 ? 'nobody serves' : `ring ${t.ring.length} slots at block ${t.block}`;
      return `services[${entryText(c.entry)}] = service ${t.id}, ${ring}, by ${hashText(t.hashing)}${extra}`;
    }
    case 'service-remove':
      return `services[${entryText(c.entry)}] removed`;
    case 'server-clear':
      return `servers[${c.id}] cleared`;
    default:
      return unreachable(c);
  }
}
