/** Somebody on the switch who believes what gratuitous ARP and unsolicited NA say: where does it send its packets? */
import { decodeArp, decodeEthernet, decodeIpv6, decodeNdp, ETHERTYPE } from '../../wire/index.ts';
import type { Carried, Port } from '../segment.ts';

export class Client implements Port {
  readonly name = 'client';
  readonly #cache = new Map<string, string>();

  carrier(): boolean {
    return true;
  }
  /** The hardware address that it has for an IP address. */
  believes(address: string): string | undefined {
    return this.#cache.get(address);
  }
  arrive(c: Carried): void {
    if (c.kind !== 'frame') return;
    const frame = decodeEthernet(c.bytes);
    if (!frame.ok) return;
    if (frame.value.etherType === ETHERTYPE.arp) {
      const arp = decodeArp(frame.value.payload);
      // A probe's sender is 0.0.0.0: nothing is learnt from it.
      if (arp.ok && arp.value.senderIp !== '0.0.0.0') this.#cache.set(arp.value.senderIp, arp.value.senderMac);
      return;
    }
    if (frame.value.etherType !== ETHERTYPE.ipv6) return;
    const ip = decodeIpv6(frame.value.payload);
    if (!ip.ok) return;
    const na = decodeNdp(ip.value.payload, { source: ip.value.source, destination: ip.value.destination });
    if (!na.ok || na.value.kind !== 'advertisement' || !na.value.override) return;
    for (const o of na.value.options) if (o.kind === 'target-link-layer') this.#cache.set(na.value.target, o.mac);
  }
}
