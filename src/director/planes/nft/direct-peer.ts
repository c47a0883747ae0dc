/** Direct routing's part in what two directors tell each other. */
import { ok, type Result } from '../../../base/index.ts';
import type { HostError, Netlink, NetlinkChannel } from '../../../host/index.ts';
import type { FlowException } from '../../types.ts';
import { KernelTable } from '../nftables/index.ts';
import { type Carried, FlowExceptions } from './exceptions.ts';
import { ToldFlows, type ToldTable } from './told.ts';

export class DirectPeer {
  readonly #netlink: Netlink;
  readonly #half: Carried & ToldTable & { readonly kernel: KernelTable };
  readonly #exceptions = new FlowExceptions();
  readonly #told: ToldFlows;
  /** Of its own: a map that is read piece by piece keeps a channel busy. */
  #channel: NetlinkChannel | undefined;

  constructor(netlink: Netlink, half: Carried & ToldTable & { readonly kernel: KernelTable }) {
    this.#netlink = netlink;
    this.#half = half;
    this.#told = new ToldFlows(half);
  }
  /** Slots, or what leads to them, are others. `cut`: the marks of servers that are gone. */
  changed(cut: readonly number[]): void {
    this.#exceptions.changed();
    if (cut.length === 0) return;
    this.#exceptions.abort();
    this.#release();
    this.#told.cut(cut);
  }
  exceptions(most: number): Result<readonly FlowException[] | 'more', HostError> {
    if (this.#half.services.length === 0) return ok([]);
    const found = this.#exceptions.look(most, this.#half, (set, take) => this.#pieces(set, take));
    if (!found.ok) this.#release();
    return found;
  }
  #pieces(set: string, take: Parameters<KernelTable['pieces']>[1]): () => Result<boolean, HostError> {
    let read: (() => Result<boolean, HostError>) | undefined;
    return () => {
      if (this.#channel === undefined) {
        const opened = this.#netlink.open('netfilter');
        if (!opened.ok) return opened;
        this.#channel = opened.value;
      }
      read ??= new KernelTable(this.#channel, this.#half.kernel.table).pieces(set, take);
      return read();
    };
  }
  /** What was begun to be read is not wanted any more. */
  #release(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }
  adopt(flows: readonly FlowException[]): void {
    this.#exceptions.changed(); // they may come by
    this.#told.adopt(flows);
  }
  abandon(flows: readonly FlowException[]): void {
    this.#told.abandon(flows);
  }
  tick(): void {
    this.#told.tick();
  }
  close(): void {
    this.#release();
  }
}
