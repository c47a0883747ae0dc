/** What the control socket of a mirror is asked. What the mirror does not know or cannot do it refuses itself. */
import { isAbsolute } from 'node:path';
import type { MirrorAsk, MirrorRequest } from '../../api/index.ts';
import { bytes, err, ok, type Result } from '../../base/index.ts';
import { requestObject } from '../control-socket.ts';

type Given = Readonly<Record<string, unknown>>;
const flag = (x: unknown): boolean => x === true;
const count = (x: unknown): number | undefined =>
  typeof x === 'number' && Number.isSafeInteger(x) && x >= 0 ? x : undefined;
const words = (x: unknown): string | undefined => (typeof x === 'string' ? x : undefined);
const size = (x: unknown) => {
  const n = count(x);
  return n === undefined ? undefined : bytes(n);
};

export function parseMirrorAsk(line: string): Result<MirrorAsk, string> {
  const got = requestObject(line);
  if (!got.ok) return got;
  const { ask, name, request } = got.value;
  if (ask === 'mirrors' || ask === 'follow') return ok({ ask });
  if (ask === 'differences' && typeof name === 'string') return ok({ ask, name });
  if (ask === 'adjust' && typeof name === 'string')
    return ok({ ask, name, file: words(got.value['file']), plan: words(got.value['plan']) });
  if (ask !== 'mirror' || typeof name !== 'string' || typeof request !== 'object' || request === null)
    return err('unknown request');
  const order = requestOf(request as Given);
  return order ? ok({ ask, name, request: order }) : err('unknown request');
}

function requestOf(q: Given): MirrorRequest | undefined {
  const volume = count(q['volume']);
  const verb = q['verb'] as MirrorRequest['verb'];
  switch (verb) {
    case 'up':
    case 'down':
    case 'secondary':
      return { verb };
    case 'attach':
    case 'invalidate':
    case 'invalidate-remote':
    case 'pause-sync':
    case 'resume-sync':
    case 'suspend-io':
    case 'resume-io':
    case 'outdate':
      return { verb, volume };
    case 'detach':
      return { verb, volume, force: flag(q['force']) };
    case 'connect':
      return { verb, discardMyData: flag(q['discardMyData']) };
    case 'resolve': {
      const { folder } = q;
      return typeof folder === 'string' && isAbsolute(folder) ? { verb, folder } : undefined;
    }
    case 'disconnect':
    case 'primary':
      return { verb, force: flag(q['force']) };
    case 'verify':
      return { verb, volume, start: size(q['start']), stop: size(q['stop']) };
    case 'resize':
      return {
        verb,
        volume,
        size: size(q['size']),
        assumeClean: flag(q['assumeClean']),
        assumePeerHasSpace: flag(q['assumePeerHasSpace']),
      };
    case 'new-current-uuid':
      return { verb, volume, clearBitmap: flag(q['clearBitmap']) };
    default:
      verb satisfies never;
      return undefined;
  }
}
