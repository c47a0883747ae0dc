/** The driver: one table read from the kernel, and commands sent to it. Nothing is decided here. */
import { err, ok, type Result, type Text, text } from '../../../base/index.ts';
import type { HostError, NetlinkChannel, NetlinkRequest } from '../../../host/index.ts';
import {
  decodeNftChain,
  decodeNftElements,
  decodeNftRule,
  decodeNftSet,
  decodeNftTable,
  type NetlinkMessage,
  NFNL_SUBSYSTEM,
  NFT_MSG,
  type NftElement,
  type NftRule,
  type NftSet,
  writeNftRulesKey,
  writeNftSetKey,
  writeNftTable,
} from '../../../wire/index.ts';
import { requestsOf, type TableCommand } from './command.ts';
import type { TableFound } from './plan.ts';
import type { ChainSpec, TableName } from './spec.ts';

const errnoNames: Readonly<Record<number, string>> = {
  1: 'EPERM',
  2: 'ENOENT',
  11: 'EAGAIN',
  12: 'ENOMEM',
  16: 'EBUSY',
  17: 'EEXIST',
  19: 'ENODEV',
  22: 'EINVAL',
  23: 'ENFILE',
  28: 'ENOSPC',
  90: 'EMSGSIZE',
  95: 'EOPNOTSUPP',
  105: 'ENOBUFS',
};
export const errnoText = (n: number): string => errnoNames[n] ?? `errno ${n}`;

const reading = (t: TableName): Text =>
  text(`read table ${t.family} ${t.name} of nf_tables`, `读取 nf_tables 的表 ${t.family} ${t.name}`);

/** One table of nf_tables. */
export class KernelTable {
  readonly table: TableName;
  readonly #channel: NetlinkChannel;

  constructor(channel: NetlinkChannel, table: TableName) {
    this.#channel = channel;
    this.table = table;
  }

  #collect<T>(
    type: number,
    write: NetlinkRequest['write'],
    decode: (b: Uint8Array) => Result<T, unknown>,
  ): Result<T[], HostError> {
    let found: T[] = [];
    const done = this.#channel.dump(
      { type, write },
      reading(this.table),
      () => {
        found = [];
      },
      (m: NetlinkMessage) => {
        const got = decode(m.payload.slice());
        if (got.ok) found.push(got.value);
      },
    );
    return done.ok ? ok(found) : done;
  }

  /** Undefined where there is no such table. */
  read(): Result<TableFound | undefined, HostError> {
    const t = this.table;
    const tables = this.#collect(NFT_MSG.getTable, (w) => writeNftTable(w, { ...t, flags: 0 }), decodeNftTable);
    if (!tables.ok) return tables;
    if (!tables.value.some((x) => x.family === t.family && x.name === t.name)) return ok(undefined);
    const key = { family: t.family, table: t.name };
    const sets = this.#collect(NFT_MSG.getSet, (w) => writeNftRulesKey(w, key), decodeNftSet);
    if (!sets.ok) return sets;
    const chains = this.#collect(NFT_MSG.getChain, (w) => writeNftRulesKey(w, key), decodeNftChain);
    if (!chains.ok) return chains;
    const rules = this.#collect(NFT_MSG.getRule, (w) => writeNftRulesKey(w, key), decodeNftRule);
    if (!rules.ok) return rules;
    const ours = (x: { readonly family: string; readonly table: string }): boolean =>
      x.family === t.family && x.table === t.name;
    const byChain = new Map<string, NftRule[]>();
    for (const r of rules.value.filter(ours)) {
      const list = byChain.get(r.chain);
      if (list === undefined) byChain.set(r.chain, [r]);
      else list.push(r);
    }
    return ok({
      sets: new Map(sets.value.filter(ours).map((s): [string, NftSet] => [s.name, s])),
      chains: new Map(chains.value.filter(ours).map((c): [string, Omit<ChainSpec, 'rules'>] => [c.name, c])),
      rules: byChain,
    });
  }

  /** All elements of one set, as they lie in the kernel. */
  elements(set: string, take: (e: NftElement) => void): Result<void, HostError> {
    const got = this.#collect(
      NFT_MSG.getElements,
      (w) => writeNftSetKey(w, { family: this.table.family, table: this.table.name, name: set }),
      decodeNftElements,
    );
    if (!got.ok) return got;
    for (const message of got.value) for (const e of message.elements) take(e);
    return ok(undefined);
  }

  /** The same a piece at a time, of a set that rules change meanwhile; true: that was the last. */
  pieces(set: string, take: (e: NftElement) => void): () => Result<boolean, HostError> {
    const key = { family: this.table.family, table: this.table.name, name: set };
    return this.#channel.pieces(
      { type: NFT_MSG.getElements, write: (w) => writeNftSetKey(w, key) },
      reading(this.table),
      (m) => {
        const got = decodeNftElements(m.payload.slice());
        if (got.ok) for (const e of got.value.elements) take(e);
      },
    );
  }

  /**
   * All commands in one transaction: they take effect together, or, where the error names the first that was refused,
   * not at all.
   */
  apply(commands: readonly TableCommand[]): Result<void, { readonly at: number; readonly error: HostError }> {
    const requests: NetlinkRequest[] = [];
    const from: number[] = [];
    commands.forEach((c, i) => {
      for (const r of requestsOf(this.table, c, i + 1)) {
        requests.push(r);
        from.push(i);
      }
    });
    if (requests.length === 0) return ok(undefined);
    const outcomes = this.#channel.batch(requests, NFNL_SUBSYSTEM.nftables);
    const bad = outcomes.findIndex((o) => o.errno !== 0);
    if (bad < 0) return ok(undefined);
    const { errno, message } = outcomes[bad] as { errno: number; message?: string };
    const at = from[bad] as number;
    const what = (commands[at] as TableCommand).do;
    const words = message === undefined || message === '' ? '' : `: ${message}`;
    const name = `${this.table.family} ${this.table.name}`;
    return err({
      at,
      error: {
        code: errnoText(errno),
        doing: text(`change table ${name} (${what})${words}`, `修改表 ${name}（${what}）${words}`),
      },
    });
  }
}
