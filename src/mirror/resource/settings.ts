/**
 * Settings that change while the mirror runs: this side's, which the peer is told of, and the peer's on a connection
 * (P_PROTOCOL_UPDATE, P_SYNC_PARAM89), which it expects to be taken over, as the kernel does.
 */
import { text } from '../../base/index.ts';
import {
  AFTER_SPLIT_BRAIN,
  type AfterSplitBrain,
  type ProtocolPacket,
  type SyncParamPacket,
} from '../../wire/index.ts';
import type { DigestName, MirrorConfig, NetOptions, ReplicationProtocol } from '../config.ts';
import { protocolPacket } from '../machine/index.ts';
import type { Parts } from './parts.ts';
import { connectConfig, PROTOCOL_NUMBER } from './peer/facts.ts';

/** What each may be: without a primary, with one, with two. */
const POLICIES: readonly (readonly AfterSplitBrain[])[] = [
  AFTER_SPLIT_BRAIN.slice(0, AFTER_SPLIT_BRAIN.indexOf('consensus')),
  ['disconnect', 'consensus', 'violently-as0p', 'discard-secondary', 'call-pri-lost-after-sb'],
  ['disconnect', 'violently-as0p', 'call-pri-lost-after-sb'],
];
/** Of plain data. */
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
const DIGESTS: readonly string[] = ['md5', 'sha1', 'sha256', 'sha512', 'crc32c'] satisfies DigestName[];

export class Settings {
  readonly #p: Parts;
  /** From then on all parts see it. */
  readonly #use: (config: MirrorConfig) => void;

  constructor(p: Parts, use: (config: MirrorConfig) => void) {
    this.#p = p;
    this.#use = use;
  }
  /** From here on they hold on this side. */
  take(config: MirrorConfig): void {
    const { sender, c, volumes } = this.#p;
    // Of one epoch all writes are complete by the same rule.
    if (config.net.protocol !== this.#p.config.net.protocol) sender.close();
    this.#use(config);
    for (const v of volumes) v.config = config.volumes.find((one) => one.number === v.number) ?? v.config;
    c.emit({ kind: 'adopted', config });
  }
  #facts(config: MirrorConfig) {
    return connectConfig(config, this.#p.volumes);
  }
  /** Tells the peer what of them is its affair too. Called when the volumes have their new settings. */
  tell(before: MirrorConfig, after: MirrorConfig): void {
    const { c } = this.#p;
    const facts = this.#facts(after);
    const update = protocolPacket(facts);
    if (!same(update, protocolPacket(this.#facts(before)))) c.send('data', { ...update, kind: 'P_PROTOCOL_UPDATE' });
    const resyncOf = (m: MirrorConfig, n: number) => m.volumes.find((v) => v.number === n)?.options.resync;
    const digests = before.net.verify !== after.net.verify || before.net.checksums !== after.net.checksums;
    // A volume that is new is told of as a whole.
    for (const { volume, resyncRate, verifyAlg, csumsAlg, controller } of facts.volumes)
      if (
        resyncOf(before, volume) !== undefined &&
        (digests || !same(resyncOf(before, volume), resyncOf(after, volume)))
      )
        c.send('data', { kind: 'P_SYNC_PARAM89', volume, resyncRate, verifyAlg, csumsAlg, controller });
  }

  // ------------------------------------------------------------------------------------------ the peer's

  /** It holds for the stream from here on. */
  protocolUpdate(p: ProtocolPacket): void {
    const { config, link } = this.#p;
    const { net } = config;
    const protocol = (Object.keys(PROTOCOL_NUMBER) as ReplicationProtocol[]).find(
      (k) => PROTOCOL_NUMBER[k] === p.protocol,
    );
    const after = p.afterSb.map(mirrored);
    const known = after.every((policy, i) => policy !== undefined && POLICIES[i]?.includes(policy));
    if (protocol === undefined || !known || p.integrity !== (net.dataIntegrity ?? '')) {
      const what = p.integrity === (net.dataIntegrity ?? '') ? 'protocol, after-sb' : 'data-integrity-alg';
      link.lose(text(`the peer changed ${what}: adjust here too`, `对端更改了 ${what}：请在本机同样调整`), true);
      return;
    }
    const [after0Primaries, after1Primary, after2Primaries] = after as [never, never, never];
    const allowTwoPrimaries = p.twoPrimaries !== 0;
    this.#adopt({ ...net, protocol, after0Primaries, after1Primary, after2Primaries, allowTwoPrimaries });
  }
  /** Its rates are its own affair; the digests both sides must have. */
  syncParam(p: SyncParamPacket): void {
    const { config, link } = this.#p;
    const [verify, checksums] = [p.verifyAlg, p.csumsAlg].map((name) => (name === '' ? undefined : name));
    const unknown = [verify, checksums].find((name) => name !== undefined && !DIGESTS.includes(name));
    if (unknown !== undefined) {
      link.lose(
        text(`the peer changed to ${unknown}, which is not known here`, `对端改用 ${unknown}，本机不支持`),
        true,
      );
      return;
    }
    this.#adopt({ ...config.net, verify: verify as DigestName, checksums: checksums as DigestName });
  }
  #adopt(net: NetOptions): void {
    const { config, c } = this.#p;
    if (same(net, config.net)) return;
    c.reason(
      'mirror.adjusted',
      undefined,
      text(`${config.peer} changed settings of the connection: taken over`, `${config.peer} 更改了连接设置：已采用`),
    );
    this.take({ ...config, net });
  }
}
/** Discard-local there is discard-remote here. */
function mirrored(n: number): AfterSplitBrain | undefined {
  const policy = AFTER_SPLIT_BRAIN[n];
  if (policy === 'discard-local') return 'discard-remote';
  return policy === 'discard-remote' ? 'discard-local' : policy;
}
