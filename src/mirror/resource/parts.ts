/** What the parts of one resource know of each other. */
import type { MirrorConfig } from '../config.ts';
import type { Congestion } from './congestion.ts';
import type { Disks } from './disks.ts';
import type { Fencing } from './fencing.ts';
import type { FullSyncs } from './full-sync.ts';
import type { Handlers } from './handlers.ts';
import type { Link } from './link.ts';
import type { Patience } from './patience.ts';
import type { Pauses } from './pauses.ts';
import type { PeerDisks } from './peer-disk.ts';
import type { PeerStates } from './peer-state.ts';
import type { Reads } from './reads.ts';
import type { Receiver } from './receiver.ts';
import type { Resizes } from './resizes.ts';
import type { ResyncSteps } from './resync-steps.ts';
import type { Roles } from './roles.ts';
import type { Sender } from './sender.ts';
import type { Syncs } from './syncs.ts';
import type { TwoPrimaries } from './two-primaries.ts';
import type { Context } from './types.ts';
import type { Verifies } from './verifies.ts';
import type { Volume } from './volume.ts';

export interface Parts {
  readonly config: MirrorConfig;
  readonly c: Context;
  readonly volumes: readonly Volume[];
  readonly sender: Sender;
  readonly receiver: Receiver;
  readonly link: Link;
  readonly syncs: Syncs;
  readonly steps: ResyncSteps;
  readonly peerStates: PeerStates;
  readonly roles: Roles;
  readonly handlers: Handlers;
  readonly fencing: Fencing;
  readonly disks: Disks;
  readonly reads: Reads;
  readonly peerDisks: PeerDisks;
  readonly two: TwoPrimaries;
  readonly verifies: Verifies;
  readonly fullSyncs: FullSyncs;
  readonly pauses: Pauses;
  readonly patience: Patience;
  readonly resizes: Resizes;
  readonly congestion: Congestion;
}
