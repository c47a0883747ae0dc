/** What a capture on a real server's cable says of its last minutes: the checks that it refused, and the last client sent to it. */
import type { Microseconds } from '../../src/base/index.ts';
import { decodeEthernet, decodeIpv4, decodePcap, decodeTcp, TCP_FLAG } from '../../src/wire/index.ts';
import { CLIENT } from './stage.ts';

const REFUSAL = TCP_FLAG.rst | TCP_FLAG.ack;
type Segment = { readonly at: Microseconds; readonly from: string; readonly to: string; readonly flags: number };

function segments(file: Uint8Array): readonly Segment[] {
  const capture = decodePcap(file);
  if (!capture.ok) throw new Error(`the capture cannot be read: ${capture.error.kind}`);
  return capture.value.packets.flatMap((p): Segment[] => {
    const frame = decodeEthernet(p.bytes);
    const ip = frame.ok ? decodeIpv4(frame.value.payload) : undefined;
    const tcp = ip?.ok ? decodeTcp(ip.value.payload) : undefined;
    if (!ip?.ok || !tcp?.ok) return [];
    return [{ at: p.at, from: ip.value.source, to: ip.value.destination, flags: tcp.value.flags }];
  });
}
/** When `server` refused (RST to a SYN) somebody who is no client: the director's checks, in order. */
export const refusedChecks = (file: Uint8Array, server: string): readonly Microseconds[] =>
  segments(file)
    .filter((s) => s.from === server && s.to !== CLIENT && (s.flags & REFUSAL) === REFUSAL)
    .map((s) => s.at);
/** The last new connection of a client that reached the server. */
export const lastRequest = (file: Uint8Array): Microseconds | undefined =>
  segments(file).findLast((s) => s.from === CLIENT && (s.flags & TCP_FLAG.syn) !== 0)?.at;
