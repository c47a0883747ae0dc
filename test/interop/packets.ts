/** What passes on a cable, as tcpdump reads it: another decoder than the product's own judges what the product sends. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Microseconds, us } from '../../src/base/index.ts';
import { type Host, now, type Program } from '../../src/lab/index.ts';

export type Advert = {
  /** When it passed, not when tcpdump came to tell of it. */
  readonly at: Microseconds;
  readonly source: string;
  readonly destination: string;
  readonly version: number;
  readonly vrid: number;
  readonly priority: number;
  readonly addresses: readonly string[];
  /** The whole line, for what only some tests look at: authentication, AH sequence, interval. */
  readonly line: string;
  /** tcpdump computed another checksum. */
  readonly badChecksum: boolean;
};
/** A gratuitous ARP request or an unsolicited neighbour advertisement. */
export type Announcement = { readonly at: Microseconds; readonly address: string };

const ADVERT =
  /(\S+) > (\S+): .*?VRRPv(\d), Advertisement, (?:\(ttl \d+\), )?vrid (\d+), prio (\d+),(.*?)(?:, addrs(?:\(\d+\))?: (\S+).*)?$/;
const ARP = /ARP, .*(?:Request who-has (\S+) .*tell \1,|Reply (\S+) is-at)/;
const NEIGHBOUR = /> ff02::1: .*neighbor advertisement.*tgt is (\S+?),/;
const FILTER = 'ip proto 112 or ip proto 51 or ip6 proto 112 or arp or icmp6';

export class Packets {
  readonly adverts: Advert[] = [];
  readonly announcements: Announcement[] = [];
  readonly #tcpdump: Program;

  private constructor(tcpdump: Program) {
    this.#tcpdump = tcpdump;
    // The kernel stamps packets by the wall clock.
    const offset = Date.now() * 1000 - now();
    let at = now();
    tcpdump.onLine((l) => {
      const stamp = /^\d+\.\d+(?= )/.exec(l.text)?.[0];
      // With -v, an IPv4 packet's contents stand in a second line, without a stamp.
      if (stamp !== undefined) at = us(Math.round(Number(stamp) * 1e6) - offset);
      const advert = ADVERT.exec(l.text);
      if (advert) {
        const [, source = '', destination = '', version, vrid, priority, , list = ''] = advert;
        this.adverts.push({
          at,
          source,
          destination,
          version: Number(version),
          vrid: Number(vrid),
          priority: Number(priority),
          addresses: list === '' ? [] : list.split(','),
          line: l.text,
          badChecksum: l.text.includes('bad vrrp cksum'),
        });
      }
      const address =
        ARP.exec(l.text)
          ?.slice(1)
          .find((a) => a !== undefined) ?? NEIGHBOUR.exec(l.text)?.[1];
      if (address) this.announcements.push({ at, address });
    });
  }

  /** Everything about virtual routers that reaches `link` of `host`, from when this resolves. */
  static async follow(host: Host, link: string): Promise<Packets> {
    const options = ['-l', '-n', '-tt', '-v', '--immediate-mode', '-Z', 'root'];
    const tcpdump = host.spawn(['tcpdump', ...options, '-i', link, FILTER]);
    const packets = new Packets(tcpdump);
    await tcpdump.line(/listening on/);
    return packets;
  }
  async stop(): Promise<void> {
    await this.#tcpdump.kill('SIGINT');
    await this.#tcpdump.exited;
  }

  /** Resolves when it holds; rejects with what was expected after a minute. */
  async until(holds: () => boolean, expected: string): Promise<void> {
    for (const end = now() + 60_000_000; !holds(); await sleep(20))
      if (now() > end) throw new Error(`not seen within a minute: ${expected}`);
  }

  /** Adverts of one router since a moment. */
  from(source: string, since = 0): readonly Advert[] {
    return this.adverts.filter((a) => a.source === source && a.at >= since);
  }
  /** Who sent adverts in the last `ms` milliseconds. */
  senders(ms: number): readonly string[] {
    const since = now() - ms * 1000;
    return [...new Set(this.adverts.filter((a) => a.at >= since).map((a) => a.source))].sort();
  }
}
