/** The two hosts of a rig, and their roles: what is alike whichever of both a case is about. */
import type { DrbdRig } from './drbd-rig.ts';

export type Host = 'ours' | 'kern';
export const HOSTS = ['ours', 'kern'] as const;
export const otherOf = (host: Host): Host => (host === 'ours' ? 'kern' : 'ours');

export async function primary(rig: DrbdRig, host: Host): Promise<void> {
  if (host === 'ours') await rig.order({ verb: 'primary', force: false });
  else await rig.adm('primary', 'r0');
}
export async function secondary(rig: DrbdRig, host: Host): Promise<void> {
  if (host === 'ours') await rig.order({ verb: 'secondary' });
  else await rig.adm('secondary', 'r0');
}
/** The connection as it says itself. */
export async function connectionOf(rig: DrbdRig, host: Host): Promise<string> {
  return host === 'ours' ? (await rig.status()).connection : (await rig.proc()).cs;
}
