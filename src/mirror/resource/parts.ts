/** What the parts of one resource know of each other. */
import type { MirrorConfig } from '../config.ts';
import type { Disks } from './disks.ts';
import type { Fencing } from './fencing.ts';
import type { Handlers } from './handlers.ts';
import type { Link } from './link.ts';
import type { Reads } from './reads.ts';
import type { Receiver } from './receiver.ts';
import type { Roles } from './roles.ts';
import type { Sender } from './sender.ts';
import type { Syncs } from './syncs.ts';
import type { TwoPrimaries } from './two-primaries.ts';
import type { Context } from './types.ts';
import type { Volume } from './volume.ts';

export interface Parts {
  readonly config: MirrorConfig;
  readonly c: Context;
  readonly volumes: readonly Volume[];
  readonly sender: Sender;
  readonly receiver: Receiver;
  readonly link: Link;
  readonly syncs: Syncs;
  readonly roles: Roles;
  readonly handlers: Handlers;
  readonly fencing: Fencing;
  readonly disks: Disks;
  readonly reads: Reads;
  readonly two: TwoPrimaries;
}
