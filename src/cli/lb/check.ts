import { err, text } from '../../base/index.ts';
import type { LbArguments } from './arguments.ts';
import type { Outcome } from './verbs.ts';
export const check = async (_a: LbArguments): Promise<Outcome> => err({ text: text('not yet', '尚未'), code: 1 });
