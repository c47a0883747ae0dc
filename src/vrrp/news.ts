/** What the kernel tells of its tables, sorted: what is ours and gone, and what may change the ways to the peers. */
import { unreachable } from '../base/index.ts';
import type { Cancel, Clock, NetChange, Network } from '../host/index.ts';
import type { Holdings } from './holdings.ts';

export type NewsListener = {
  /** Ahead of anything else. */
  woken(): void;
  link(name: string, up: boolean): void;
  /** It went or went down, and not by us. */
  lostLink(name: string): void;
  /** An address that nobody holds came or went there. */
  addresses(ifindex: number): void;
  /** Something that is held went or came back; the notifications behind it have been worked through. */
  holdings(): void;
  /** Notifications were lost. */
  resync(): void;
};

export class KernelNews {
  readonly #clock: Clock;
  readonly #network: Network;
  readonly #holdings: Holdings;
  readonly #listener: NewsListener;
  #unwatch: Cancel | undefined;
  #cancel: Cancel | undefined;

  constructor(clock: Clock, network: Network, holdings: Holdings, listener: NewsListener) {
    this.#clock = clock;
    this.#network = network;
    this.#holdings = holdings;
    this.#listener = listener;
  }
  follow(): void {
    this.#unwatch = this.#network.watch((c) => this.#changed(c));
  }
  stop(): void {
    this.#unwatch?.();
    this.#cancel?.();
  }

  #changed(c: NetChange): void {
    if ('own' in c && c.own && c.kind !== 'link-gone') return; // what we did ourselves is no news
    this.#listener.woken();
    if (this.#holdings.notice(c)) this.#judgeLater();
    switch (c.kind) {
      case 'link':
        this.#listener.link(c.link.name, c.link.up);
        if (!c.link.up) this.#listener.lostLink(c.link.name);
        break;
      case 'link-gone':
        this.#listener.link(c.link.name, false);
        if (!c.own) this.#listener.lostLink(c.link.name);
        break;
      case 'address':
      case 'address-gone':
        if (!this.#holdings.holdsAddress(c.address)) this.#listener.addresses(c.address.ifindex);
        break;
      case 'route':
      case 'route-gone':
      case 'rule':
      case 'rule-gone':
        break;
      case 'resync':
        this.#holdings.lookAgain();
        this.#judgeLater();
        this.#listener.resync();
        break;
      default:
        unreachable(c);
    }
  }
  /** Once, after the notifications that are queued now: what went may be back by then. */
  #judgeLater(): void {
    this.#cancel ??= this.#clock.at(this.#clock.now(), () => {
      this.#cancel = undefined;
      this.#network.drain();
      this.#listener.holdings();
    });
  }
}
