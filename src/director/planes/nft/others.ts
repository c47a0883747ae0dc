/** Other programs at the tables: that they were there shows in the generation of nf_tables, what they did when the tables are read. */
import { type Text, text } from '../../../base/index.ts';
import type { NetlinkChannel } from '../../../host/index.ts';
import type { ServiceOutcome } from '../../types.ts';
import { generationOf } from '../nftables/index.ts';

/** So many services are read at every change of somebody's; more of them after so many ticks. */
const FEW_SERVICES = 500;
const LOOK_AGAIN = 60;

export class Others {
  readonly #channel: NetlinkChannel;
  /** When this plane was last done with its tables. */
  #generation: number | undefined;
  #suspicious = false;
  /** Ticks since the tables were read. */
  #sinceRead = 0;

  constructor(channel: NetlinkChannel) {
    this.#channel = channel;
  }
  /** Something changed in some table, and not by us: whether it was one of ours is to be looked at. To be asked before each change of ours. */
  suspect(): void {
    const now = generationOf(this.#channel);
    if (now === this.#generation || this.#generation === undefined) return;
    this.#generation = now;
    this.#suspicious = true;
  }
  /** What changed until now was by us. */
  done(): void {
    this.#generation = generationOf(this.#channel);
  }
  get suspicious(): boolean {
    return this.#suspicious;
  }
  /**
   * Once a tick while there is a suspicion: whether elements are to be read. At once where they are few or rules are not as
   * they were (`broken`), else after a minute: what others do to their own tables is no reason to read a million of ours each second.
   */
  mayRead(o: { readonly services: number; readonly broken: boolean }): boolean {
    this.#sinceRead++;
    if (!o.broken && o.services > FEW_SERVICES && this.#sinceRead < LOOK_AGAIN) return false;
    this.#suspicious = false;
    this.#sinceRead = 0;
    return true;
  }
}
export function disturbed(changed: readonly ServiceOutcome[]): Text {
  const names = changed.slice(0, 3).map((x) => x.key);
  const list = names.join(', ') + (changed.length > names.length ? ', …' : '');
  return text(
    `another program changed table holdfast-lb or holdfast-guard of nf_tables; put back for ${changed.length} services (${list}); \`nft monitor\` shows which program, and \`nft flush ruleset\` in its scripts should name its own tables`,
    `其他程序改动了 nf_tables 的表 holdfast-lb 或 holdfast-guard；已为 ${changed.length} 个服务恢复（${list}）；用 \`nft monitor\` 可查看是哪个程序，其脚本中的 \`nft flush ruleset\` 应改为只清空它自己的表`,
  );
}
