/** The number of the rule sets' state: every transaction raises it, whoever sends it, in whatever table. */
import { text } from '../../../base/index.ts';
import type { NetlinkChannel } from '../../../host/index.ts';
import { decodeNftGeneration, NFT_MSG } from '../../../wire/index.ts';

/** Undefined where the kernel does not tell. */
export function generationOf(channel: NetlinkChannel): number | undefined {
  const request = {
    type: NFT_MSG.getGeneration,
    flags: 0,
    write: (w: { zeros: (n: number) => unknown }) => void w.zeros(4),
  };
  const got = channel.ask(request, text('read the generation of nf_tables', '读取 nf_tables 的代号'));
  const first = got.ok ? got.value[0] : undefined;
  const decoded = first && decodeNftGeneration(first.payload);
  return decoded?.ok ? decoded.value.id : undefined;
}
