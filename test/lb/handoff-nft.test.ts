/** Two directors, DR by nft: see handoff-pair.ts. */
import { handoffBy } from './handoff-pair.ts';

handoffBy('nft');
