/** Refusals as drbdsetup of 8.4 prints them, with its exit code. Pure. */
import type { MirrorAnswer, MirrorRefusal } from '../../api/index.ts';
import type { Language } from '../../base/index.ts';

/** Number and words of a state change that was refused. */
const WORDS: Readonly<Record<MirrorRefusal, readonly [number, string]>> = {
  'two-primaries': [-1, 'Multiple primaries not allowed by config'],
  'no-good-disk': [-2, 'Need access to UpToDate data'],
  'no-local-disk': [-3, 'Can not resync without local disk'],
  'no-remote-disk': [-4, 'Can not resync without remote disk'],
  'connected-outdates': [-6, 'Refusing to be Outdated while Connected'],
  fenced: [-7, 'Refusing to be Primary while peer is not outdated'],
  'resync-running': [-8, 'Can not start OV/resync since it is already active'],
  'already-standalone': [-9, 'Can not disconnect a StandAlone device'],
  'failed-by-peer': [-10, 'State change was refused by peer node'],
  'is-diskless': [-11, 'Device is diskless, the requested operation requires a disk'],
  'device-in-use': [-12, 'Device is held open by someone'],
  'no-net-config': [-13, 'Have no net/connection configuration'],
  'no-verify-alg': [-14, 'Need a verify algorithm to start online verify'],
  'needs-connection': [-15, 'Need a connection to start verify or resync'],
  'lower-than-outdated': [-16, 'Disk state is lower than outdated'],
  'not-supported': [-17, 'Peer does not support protocol'],
  'in-transient': [-18, 'In transient state, retry after next state change'],
  concurrent: [-19, 'Concurrent state changes detected and aborted'],
  'other-primary': [-20, 'Other vol primary on peer not allowed by config'],
};
/** drbdsetup: 0 done, 17 refused. */
export const DRBDSETUP_EXIT = { done: 0, refused: 17, driver: 10, usage: 20 } as const;

export type Shown = { readonly code: number; readonly text: string };
/** `name` is what the tool was asked about: a minor number or a resource. */
export function likeDrbdsetup(a: MirrorAnswer, name: string, language: Language): Shown {
  if (a.ok) return { code: DRBDSETUP_EXIT.done, text: '' };
  const [number, words] = WORDS[a.code];
  return {
    code: DRBDSETUP_EXIT.refused,
    text: `${name}: State change failed: (${number}) ${words}\n# holdfast: ${a.text[language]}\n`,
  };
}
