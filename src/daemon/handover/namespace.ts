/** Entering a named network namespace, as `ip netns` names them. */
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import type { HostError } from '../../host/index.ts';
import { type Addon, hostError } from '../../host/linux/index.ts';

/** Before any socket is opened: those stay where they were made. */
export function enterNamespace(addon: Addon, name: string): Result<void, HostError> {
  const r = addon.enterNetwork(`/run/netns/${name}`);
  return r < 0 ? err(hostError(r, text(`enter network namespace ${name}`, `进入网络命名空间 ${name}`))) : ok(undefined);
}
export const failureText = (e: HostError): Text => text(`${e.doing.en}: ${e.code}`, `${e.doing.zh}：${e.code}`);
