/** What the operator calls a service or a server, found in the document. Pure. */
import type { LbDocument, LbServer, LbService } from '../../api/index.ts';
import { err, ok, type Result, type Text, text } from '../../base/index.ts';

/** `tcp 10.0.0.1:80` may be written `10.0.0.1:80`, `tcp/10.0.0.1:80` or `10.0.0.1`, where that means only one. */
function find<T extends { readonly key: string }>(all: readonly T[], word: string): T[] {
  const wanted = word.trim().replace(/^(tcp|udp|sctp|fwmark)[/=]/, '$1 ');
  const exact = all.filter((x) => x.key === wanted);
  if (exact.length > 0) return exact;
  const end = all.filter((x) => x.key.replace(/^(tcp|udp|sctp) /, '') === wanted || x.key.startsWith(`${wanted} `));
  if (end.length > 0) return end;
  return all.filter(
    (x) =>
      x.key
        .replace(/^(tcp|udp|sctp) /, '')
        .replace(/:\d+$/, '')
        .replace(/^\[|\]$/g, '') === wanted,
  );
}

function one<T extends { readonly key: string }>(what: Text, all: readonly T[], word: string): Result<T, Text> {
  const found = find(all, word);
  const [first] = found;
  if (first !== undefined && found.length === 1) return ok(first);
  const keys = (found.length > 0 ? found : all).map((x) => x.key).join(', ');
  if (found.length > 1) return err(text(`${word} may be any of: ${keys}`, `${word} 可能是以下任意一个：${keys}`));
  return err(
    all.length === 0
      ? text(`there is no ${what.en} ${word}, nor any other`, `没有${what.zh} ${word}，也没有其他${what.zh}`)
      : text(`there is no ${what.en} ${word}; there are: ${keys}`, `没有${what.zh} ${word}；现有：${keys}`),
  );
}

const SERVICE = text('virtual server', '虚拟服务器');
const SERVER = text('real server', '真实服务器');
export const findService = (d: LbDocument, word: string): Result<LbService, Text> => one(SERVICE, d.services, word);
export const findServer = (s: LbService, word: string): Result<LbServer, Text> => one(SERVER, s.servers, word);
