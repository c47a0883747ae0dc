/** A mirror of which both sides are primary. */
import assert from 'node:assert/strict';
import type { DrbdRig } from './drbd-rig.ts';

/** Who is there first opens the data socket, and thereby has the other open, and itself accept, the meta socket: it decides. */
export type First = 'ours' | 'kern';
export async function bothPrimary(
  rig: DrbdRig,
  o: { readonly net?: string; readonly first?: First; readonly handlers?: string } = {},
): Promise<void> {
  await rig.configure({ net: `allow-two-primaries yes; ${o.net ?? ''}`, handlers: o.handlers ?? '' });
  if (o.first === 'kern') {
    await rig.adm('up', 'r0');
    await rig.startOurs();
  } else await rig.up();
  await rig.settled();
  await rig.order({ verb: 'primary', force: false });
  await rig.adm('primary', 'r0');
  assert.equal((await rig.proc()).ro, 'Primary/Primary');
}
