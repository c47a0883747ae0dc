/** The plane's part in the guard: it stands before the first packet could be lost to this host's own stack, and until after the last. */
import { ok, type Result } from '../../../base/index.ts';
import type { HostError, Netlink } from '../../../host/index.ts';
import type { WantedService } from '../../types.ts';
import { Guard, guardEntries } from '../guard/index.ts';
import { sameGuard } from './same.ts';

const OWNER = 'bpf';

export class GuardPost {
  readonly #netlink: Netlink;
  /** Of all planes of this process; undefined: one of its own. */
  readonly #shared: Guard | undefined;
  #guard: Guard | undefined;

  constructor(netlink: Netlink, shared: Guard | undefined) {
    this.#netlink = netlink;
    this.#shared = shared;
  }
  /** `all`: what is wanted from now on; `coming` and `gone`: what of it is other than before. */
  stand(
    all: readonly WantedService[],
    coming: readonly { readonly service: WantedService; readonly old: WantedService | undefined }[],
    gone: readonly WantedService[],
  ): Result<unknown, HostError> {
    if (!this.#guard) {
      const opened = this.#shared ? ok(this.#shared) : Guard.open(this.#netlink);
      if (!opened.ok) return opened;
      this.#guard = opened.value;
      return opened.value.set(OWNER, guardEntries(all));
    }
    const changed = coming.filter((c) => !c.old || !sameGuard(c.old, c.service));
    const remove = guardEntries([...changed.flatMap((c) => (c.old ? [c.old] : [])), ...gone]);
    return this.#guard.adjust(OWNER, { add: guardEntries(changed.map((c) => c.service)), remove });
  }
  close(o: { readonly keep: boolean }): void {
    if (!this.#shared) this.#guard?.close(o);
  }
}
