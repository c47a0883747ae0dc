/**
 * Whose data is newer: the comparison of two sets of generation identifiers that both sides make when they connect, each
 * for itself, and must make with mirrored results. The rules have the numbers that DRBD's own log gives them.
 */
import { type Text, text } from '../../base/index.ts';
import { DRBD_FEATURE, type GenerationId, type UuidSet } from '../../wire/index.ts';
import { JUST_CREATED, NO_GENERATION, plusOffset, sameGeneration as same } from './uuids.ts';

export type Side = {
  readonly uuids: UuidSet;
  readonly crashedPrimary: boolean;
  readonly primary: boolean;
};
export type Comparison = {
  readonly mine: Side;
  readonly peer: Side;
  /** Agreed protocol version and features. */
  readonly version: number;
  readonly features: number;
  /** We accepted the meta socket. */
  readonly resolver: boolean;
};
export type Verdict =
  | { readonly is: 'equal' }
  /** Our data go to the peer, or the peer's to us; `full` sets all bits first. */
  | { readonly is: 'source' | 'target'; readonly full: boolean }
  /** Both have changes of their own; `ambiguous` when no common ancestor is known for certain. */
  | { readonly is: 'split-brain'; readonly ambiguous: boolean }
  | { readonly is: 'unrelated' }
  /** The protocol is too old to mend what a lost packet left behind. */
  | { readonly is: 'needs-protocol'; readonly version: number };
export type Compared = {
  readonly rule: number;
  readonly verdict: Verdict;
  readonly reason: Text;
  /** Sets to go on with, where the end or the start of a resync had been missed. */
  readonly corrected?: { readonly mine?: UuidSet; readonly peer?: UuidSet };
};

const equal: Verdict = { is: 'equal' };
const source = (full = false): Verdict => ({ is: 'source', full });
const target = (full = false): Verdict => ({ is: 'target', full });
const empty = (id: GenerationId): boolean => same(id, NO_GENERATION);
const created = (id: GenerationId): boolean => same(id, JUST_CREATED);
/** What a lost end of a resync leaves undone: the bitmap identifier goes to the history. */
const rotated = (u: UuidSet): UuidSet => ({
  ...u,
  bitmap: NO_GENERATION,
  history: [u.bitmap, u.history[0]],
});
/** Takes the start of a resync back that the other side never heard of. */
const takenBack = (u: UuidSet): UuidSet => ({ ...u, bitmap: u.history[0], history: [u.history[1], u.history[1]] });

/** The first rule that matches; the table of DRBD's comparison, protocol 86 to 101. */
export function compareGenerations(c: Comparison): Compared {
  const { current: C, bitmap: B, history: H } = c.mine.uuids;
  const { current: pc, bitmap: pb, history: ph } = c.peer.uuids;
  const [H0, H1] = H;
  const [h0, h1] = ph;
  const result = (rule: number, verdict: Verdict, corrected?: Compared['corrected']): Compared => ({
    rule,
    verdict,
    reason: REASONS[rule] as Text,
    ...(corrected === undefined ? {} : { corrected }),
  });
  /** Below 91 a lost packet at the end or start of a resync cannot be made good. */
  const mended = (rule: number, verdict: Verdict, corrected?: Compared['corrected']): Compared =>
    c.version < 91 ? result(rule, { is: 'needs-protocol', version: 91 }) : result(rule, verdict, corrected);

  const iHaveNone = created(C) || empty(C);
  const peerHasNone = created(pc) || empty(pc);
  if (created(C) && created(pc)) return result(10, equal);
  if (iHaveNone && !created(pc)) return result(20, target(true));
  if (!created(C) && peerHasNone) return result(30, source(true));
  if (same(C, pc)) {
    if (empty(pb) && !empty(B))
      return same(B, h0) && same(H0, h1) ? mended(34, source(), { mine: rotated(c.mine.uuids) }) : mended(36, source());
    if (empty(B) && !empty(pb))
      return same(H0, pb) && same(H1, h0)
        ? mended(35, target(), { peer: rotated(c.peer.uuids) })
        : mended(37, target());
    return crashed(c, result);
  }
  if (same(C, pb)) return result(50, target());
  if (same(C, h0) && (c.version < 96 ? same(H0, h1) : same(pb, plusOffset(h0))))
    return mended(51, target(), { peer: takenBack(c.peer.uuids) });
  if (same(C, h0) || same(C, h1)) return result(60, target(true));
  if (same(B, pc)) return result(70, source());
  if (same(H0, pc) && (c.version < 96 ? same(H1, h0) : same(B, plusOffset(H0))))
    return mended(71, source(), { mine: takenBack(c.mine.uuids) });
  if (same(H0, pc) || same(H1, pc)) return result(80, source(true));
  if (same(B, pb) && !empty(B)) return result(90, { is: 'split-brain', ambiguous: false });
  for (const mine of H)
    for (const theirs of ph) if (same(mine, theirs)) return result(100, { is: 'split-brain', ambiguous: true });
  return result(1000, { is: 'unrelated' });
}

/** The same generation on both sides: only a primary that crashed can have written more. */
function crashed(c: Comparison, result: (rule: number, v: Verdict) => Compared): Compared {
  const [mine, peer] = [c.mine.crashedPrimary, c.peer.crashedPrimary];
  if (!mine && !peer) return result(38, equal);
  if ((c.mine.primary || c.peer.primary) && (c.features & DRBD_FEATURE.writeSame) !== 0) {
    if (c.mine.primary && c.peer.primary) return result(41, { is: 'split-brain', ambiguous: true });
    return result(41, c.mine.primary ? source() : target());
  }
  if (mine && peer) return result(40, c.resolver ? target() : source());
  return result(40, mine ? source() : target());
}

/** The log of the kernel calls both rules of equal generations 40; 38 is without any crash, 40 with. */
export const kernelRule = (rule: number): number => (rule === 38 ? 40 : rule);

const REASONS: Readonly<Record<number, Text>> = {
  10: text('both disks are new: there is nothing to copy', '两块磁盘都是新的：无需复制'),
  20: text('this disk is new and the peer has data', '本机磁盘是新的，对端有数据'),
  30: text('the peer has a new disk and this one has data', '对端磁盘是新的，本机有数据'),
  34: text('a resync to the peer was done; this side missed its end', '向对端的重同步已完成，本机错过了结束'),
  35: text('a resync from the peer was done; the peer missed its end', '来自对端的重同步已完成，对端错过了结束'),
  36: text('a resync to the peer was being finished when the connection was lost', '向对端的重同步收尾时连接中断'),
  37: text('a resync from the peer was being finished when the connection was lost', '来自对端的重同步收尾时连接中断'),
  38: text('both have the same generation', '两端为同一代数据'),
  40: text(
    'the same generation, but a primary crashed: what it wrote last is copied',
    '同一代数据，但有主节点崩溃过：复制其最后的写入',
  ),
  41: text(
    'the same generation, a primary crashed, and a primary is there now',
    '同一代数据，有主节点崩溃过，且目前有主节点',
  ),
  50: text('the peer went on from the generation that this disk has', '对端是从本机这一代继续的'),
  51: text('the peer began a resync that this side never heard of', '对端开始过一次重同步，本机并不知道'),
  60: text('this disk is older than what the peer kept a bitmap for', '本机数据早于对端位图所记录的范围'),
  70: text('this side went on from the generation that the peer has', '本机是从对端这一代继续的'),
  71: text('this side began a resync that the peer never heard of', '本机开始过一次重同步，对端并不知道'),
  80: text('the peer is older than what this side kept a bitmap for', '对端数据早于本机位图所记录的范围'),
  90: text('both sides went on by themselves from the same generation: split brain', '两端从同一代各自继续：脑裂'),
  100: text(
    'both sides went on by themselves from an older common generation: split brain',
    '两端从更早的共同一代各自继续：脑裂',
  ),
  1000: text('the disks have no generation in common: their data are unrelated', '两块磁盘没有共同的数据代：数据无关'),
};
