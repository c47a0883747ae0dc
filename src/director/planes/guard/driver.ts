import { err, type IpAddress, ok, type Result } from '../../../base/index.ts';
import type { HostError, Netlink, NetlinkChannel } from '../../../host/index.ts';
import { KernelTable, readElement, type TableCommand } from '../nftables/index.ts';
import {
  GUARD_TABLE,
  type GuardEntry,
  type GuardFound,
  guardCommands,
  guardKey,
  guardSets,
  planGuard,
} from './guard.ts';

/**
 * Keeps the guard in the kernel. Several planes may share one: each names the entries that it needs under a name of its
 * own. What an earlier process left is taken over at the first `set`.
 */
export class Guard {
  readonly #kernel: KernelTable;
  readonly #channel: NetlinkChannel;
  readonly #wanted = new Map<string, Map<string, GuardEntry>>();

  private constructor(channel: NetlinkChannel) {
    this.#channel = channel;
    this.#kernel = new KernelTable(channel, GUARD_TABLE);
  }
  static open(netlink: Netlink): Result<Guard, HostError> {
    const channel = netlink.open('netfilter');
    return channel.ok ? ok(new Guard(channel.value)) : channel;
  }

  /** Makes the kernel guard what all owners want together. Reads what is there. */
  set(owner: string, entries: readonly GuardEntry[]): Result<'kept' | 'changed', HostError> {
    this.#wanted.set(owner, new Map(entries.map((e) => [guardKey(e), e])));
    const found = this.#read();
    if (!found.ok) return found;
    const all = [...this.#wanted.values()].flatMap((w) => [...w.values()]);
    return this.#send(planGuard(all, found.value).commands);
  }
  /** A difference to what the owner wants, without reading: for one service of many. After a first `set`. */
  adjust(
    owner: string,
    o: { readonly add: readonly GuardEntry[]; readonly remove: readonly GuardEntry[] },
  ): Result<'kept' | 'changed', HostError> {
    const mine = this.#wanted.get(owner);
    if (mine === undefined) return this.set(owner, o.add);
    const held = (key: string): boolean => [...this.#wanted.values()].some((w) => w.has(key));
    const wasEmpty = ![...this.#wanted.values()].some((w) => w.size > 0);
    const [add, remove]: GuardEntry[][] = [[], []];
    const staying = new Set(o.add.map(guardKey));
    for (const e of o.remove) {
      const key = guardKey(e);
      if (staying.has(key) || !mine.delete(key) || held(key)) continue;
      remove?.push(e);
    }
    for (const e of o.add) {
      const key = guardKey(e);
      if (!held(key)) add?.push(e);
      mine.set(key, e);
    }
    const isEmpty = ![...this.#wanted.values()].some((w) => w.size > 0);
    if (wasEmpty || isEmpty) return this.set(owner, [...mine.values()]);
    return this.#send(guardCommands(add ?? [], remove ?? []));
  }
  #send(commands: readonly TableCommand[]): Result<'kept' | 'changed', HostError> {
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
