/** What must be equal on both sides before they connect: settings of P_PROTOCOL and P_SYNC_PARAM89. Undefined: all is. */
import { type Text, text } from '../../base/index.ts';
import {
  AFTER_SPLIT_BRAIN,
  DRBD_CONNECT_FLAG,
  digestLengthOf,
  type ProtocolPacket,
  type SyncParamPacket,
} from '../../wire/index.ts';
import type { ConnectConfig, VolumeFacts } from './types.ts';

const number = (policy: (typeof AFTER_SPLIT_BRAIN)[number]): number => AFTER_SPLIT_BRAIN.indexOf(policy);

export const protocolPacket = (c: ConnectConfig): ProtocolPacket => ({
  kind: 'P_PROTOCOL',
  volume: 0,
  protocol: c.protocol,
  afterSb: [number(c.policies.none), number(c.policies.one), number(c.policies.two)],
  connectFlags: (c.discardMyData ? DRBD_CONNECT_FLAG.discardMyData : 0) | (c.dryRun ? DRBD_CONNECT_FLAG.dryRun : 0),
  twoPrimaries: c.twoPrimaries ? 1 : 0,
  integrity: c.integrity,
});

/** Discard-local here is discard-remote there. */
function meets(mine: number, peers: number): boolean {
  const [local, remote] = [number('discard-local'), number('discard-remote')];
  if (mine === local) return peers === remote;
  return mine === remote ? peers === local : mine === peers;
}
const differ = (setting: string, mine: string | number, peers: string | number): Text =>
  text(`${setting} differs: ${mine} here, ${peers} there`, `${setting} 不一致：本机 ${mine}，对端 ${peers}`);
const policyName = (n: number): string => AFTER_SPLIT_BRAIN[n] ?? `${n}`;

export function protocolMismatch(c: ConnectConfig, peer: ProtocolPacket): Text | undefined {
  const mine = protocolPacket(c);
  if (mine.protocol !== peer.protocol) return differ('protocol', mine.protocol, peer.protocol);
  for (const i of [0, 1, 2] as const)
    if (!meets(mine.afterSb[i], peer.afterSb[i]))
      return differ(`after-sb-${i}pri`, policyName(mine.afterSb[i]), policyName(peer.afterSb[i]));
  if (c.discardMyData && (peer.connectFlags & DRBD_CONNECT_FLAG.discardMyData) !== 0)
    return text('both sides were told to discard their data', '两端都被要求放弃自己的数据');
  if (mine.twoPrimaries !== peer.twoPrimaries)
    return differ('allow-two-primaries', mine.twoPrimaries, peer.twoPrimaries);
  if (mine.integrity !== peer.integrity) return differ('data-integrity-alg', mine.integrity, peer.integrity);
  if (digestLengthOf(peer.integrity) === undefined)
    return text(
      `data-integrity-alg ${peer.integrity} is not known here`,
      `本机不支持 data-integrity-alg ${peer.integrity}`,
    );
  return undefined;
}
export function syncParamMismatch(v: VolumeFacts, peer: SyncParamPacket): Text | undefined {
  if (v.verifyAlg !== peer.verifyAlg) return differ('verify-alg', v.verifyAlg, peer.verifyAlg);
  if (v.csumsAlg !== peer.csumsAlg) return differ('csums-alg', v.csumsAlg, peer.csumsAlg);
  return undefined;
}
