import { err, type IpAddress, ok, type Result } from '../../../base/index.ts';
import type { HostError, Netlink, NetlinkChannel } from '../../../host/index.ts';
import { KernelTable, readElement } from '../nftables/index.ts';
import { GUARD_TABLE, type GuardEntry, type GuardFound, guardSets, planGuard } from './guard.ts';

/**
 * Keeps the guard in the kernel. Several planes may share one: each names the entries that it needs under a name of its
 * own. What an earlier process left is taken over at the first `set`.
 */
export class Guard {
  readonly #kernel: KernelTable;
  readonly #channel: NetlinkChannel;
  readonly #wanted = new Map<string, readonly GuardEntry[]>();

  private constructor(channel: NetlinkChannel) {
    this.#channel = channel;
    this.#kernel = new KernelTable(channel, GUARD_TABLE);
  }
  static open(netlink: Netlink): Result<Guard, HostError> {
    const channel = netlink.open('netfilter');
    return channel.ok ? ok(new Guard(channel.value)) : channel;
  }

  /** Makes the kernel guard what all owners want together. */
  set(owner: string, entries: readonly GuardEntry[]): Result<'kept' | 'changed', HostError> {
    this.#wanted.set(owner, entries);
    const found = this.#read();
    if (!found.ok) return found;
    const { commands } = planGuard([...this.#wanted.values()].flat(), found.value);
    if (commands.length === 0) return ok('kept');
    const done = this.#kernel.apply(commands);
    return done.ok ? ok('changed') : err(done.error.error);
  }
  #read(): Result<GuardFound | undefined, HostError> {
    const table = this.#kernel.read();
    if (!table.ok || table.value === undefined) return table.ok ? ok(undefined) : table;
    const entries: GuardEntry[] = [];
    for (const set of guardSets) {
      if (!table.value.sets.has(set.name)) continue;
      const done = this.#kernel.elements(set.name, (e) => {
        const key = readElement(set, e)?.key as [IpAddress, number, number?] | undefined;
        if (key !== undefined) entries.push({ address: key[0], protocol: key[1], port: key[2] ?? 0 });
      });
      if (!done.ok) return done;
    }
    return ok({ table: table.value, entries });
  }
  /** `keep`: the guard goes on standing. */
  close(o: { readonly keep: boolean }): void {
    if (!o.keep) {
      const found = this.#kernel.read();
      if (found.ok && found.value !== undefined) this.#kernel.apply([{ do: 'table-remove' }]);
    }
    this.#channel.close();
  }
}
