/**
 * What follows from the comparison when two sides connect: who copies to whom, or why they stay apart. Pure; both sides
 * decide from mirrored data. Every step that changed the outcome is in `reasons`.
 */
import { type Text, text } from '../../base/index.ts';
import type { DrbdDisk, UuidSet } from '../../wire/index.ts';
import { DRBD_DISKS } from '../../wire/index.ts';
import { type Compared, compareGenerations, type Side, type Verdict } from './compare.ts';
import { type AfterSb, settle } from './split-brain.ts';

export type HandshakeSide = Side & {
  readonly disk: DrbdDisk;
  /** Changed blocks, as told in P_UUIDS. */
  readonly bits: number;
  readonly discardMyData: boolean;
  /** Attached just now, by one who used the peer's data till then: nobody has seen its own. */
  readonly negotiating?: boolean;
};
export type RoleConflict = 'disconnect' | 'call-pri-lost' | 'violently';
export type Handshake = {
  readonly mine: HandshakeSide;
  readonly peer: HandshakeSide;
  readonly version: number;
  readonly features: number;
  readonly resolver: boolean;
  readonly policies: AfterSb;
  readonly alwaysAsbp: boolean;
  readonly rrConflict: RoleConflict;
  readonly dryRun: boolean;
};
export type Handler = 'initial-split-brain' | 'split-brain' | 'pri-lost';
export type Decision = {
  readonly rule: number;
  readonly outcome:
    | { readonly do: 'connect' }
    /** `full`: set all bits, durably, before the bitmaps are exchanged. `demote`: first, and if that fails stay apart. */
    | { readonly do: 'source' | 'target'; readonly full: boolean; readonly demote: boolean }
    /** StandAlone, until an operator says otherwise. */
    | { readonly do: 'drop' };
  /** To be called in this order, whatever the outcome. */
  readonly handlers: readonly Handler[];
  readonly corrected?: { readonly mine?: UuidSet; readonly peer?: UuidSet };
  readonly reasons: readonly Text[];
};

const rank = (d: DrbdDisk): number => DRBD_DISKS.indexOf(d);
const INCONSISTENT = rank('Inconsistent');
const CONSISTENT = rank('Consistent');
const ruled = (c: Compared): Text => text(`rule ${c.rule}: ${c.reason.en}`, `规则 ${c.rule}：${c.reason.zh}`);

/** Both sides have a disk and have told their identifiers. */
export function decideHandshake(h: Handshake): Decision {
  const compared = compareGenerations({
    mine: h.mine,
    peer: h.peer,
    version: h.version,
    features: h.features,
    resolver: h.resolver,
  });
  const reasons: Text[] = [ruled(compared)];
  const handlers: Handler[] = [];
  const decide = (outcome: Decision['outcome'], because?: Text): Decision => ({
    rule: compared.rule,
    outcome,
    handlers,
    ...(compared.corrected === undefined ? {} : { corrected: compared.corrected }),
    reasons: because === undefined ? reasons : [...reasons, because],
  });
  const drop = (because: Text): Decision => decide({ do: 'drop' }, because);

  let verdict: Verdict = compared.verdict;
  let demote = false;
  if (verdict.is === 'unrelated') return drop(UNRELATED);
  if (verdict.is === 'needs-protocol') return drop(TOO_OLD);

  const better = betterDisk(h);
  if (better !== undefined) {
    const full = verdict.is === 'split-brain' ? verdict.ambiguous : verdict.is === 'equal' ? false : verdict.full;
    verdict = { is: better === 'mine' ? 'source' : 'target', full };
    reasons.push(better === 'mine' ? PEER_INCONSISTENT : MINE_INCONSISTENT);
  }
  if (verdict.is === 'split-brain') {
    handlers.push('initial-split-brain');
    if (!verdict.ambiguous || h.alwaysAsbp) {
      const settled = settle({
        mine: { primary: h.mine.primary, bitmap: h.mine.uuids.bitmap, bits: h.mine.bits },
        peer: { primary: h.peer.primary, bitmap: h.peer.uuids.bitmap, bits: h.peer.bits },
        resolver: h.resolver,
        policies: h.policies,
      });
      reasons.push(settled.reason);
      if (settled.winner !== undefined) {
        verdict = { is: settled.winner === 'mine' ? 'source' : 'target', full: verdict.ambiguous };
        demote = settled.demote;
      }
    }
  }
  if (verdict.is === 'split-brain' && h.mine.discardMyData !== h.peer.discardMyData) {
    verdict = { is: h.mine.discardMyData ? 'target' : 'source', full: false };
    reasons.push(h.mine.discardMyData ? I_DISCARD : PEER_DISCARDS);
  }
  if (verdict.is === 'split-brain') {
    handlers.push('split-brain');
    return drop(UNRESOLVED);
  }
  if (verdict.is === 'source' && rank(h.mine.disk) <= INCONSISTENT) return drop(NO_SOURCE);
  if (verdict.is === 'target' && !demote && h.mine.primary && !h.mine.negotiating && rank(h.mine.disk) >= CONSISTENT) {
    if (h.rrConflict !== 'violently') {
      if (h.rrConflict === 'call-pri-lost') handlers.push('pri-lost');
      return drop(WOULD_OVERWRITE_PRIMARY);
    }
    reasons.push(VIOLENTLY);
  }
  if (h.dryRun) return drop(DRY_RUN);
  if (verdict.is === 'equal') return decide({ do: 'connect' });
  return decide({ do: verdict.is, full: verdict.full, demote });
}

/** Exactly one disk is Inconsistent, and the other is better. */
function betterDisk(h: Handshake): 'mine' | 'peer' | undefined {
  const [mine, peer] = [rank(h.mine.disk), rank(h.peer.disk)];
  if (mine === INCONSISTENT && peer > INCONSISTENT) return 'peer';
  if (peer === INCONSISTENT && mine > INCONSISTENT) return 'mine';
  return undefined;
}

const UNRELATED = text('they stay apart', '两端保持断开');
const TOO_OLD = text(
  'the peer speaks a protocol below 91, which cannot mend this',
  '对端协议版本低于 91，无法修复此情况',
);
const MINE_INCONSISTENT = text('this disk is Inconsistent and the peer is better', '本机磁盘为 Inconsistent，对端更好');
const PEER_INCONSISTENT = text('the peer is Inconsistent and this disk is better', '对端磁盘为 Inconsistent，本机更好');
const I_DISCARD = text('this side was told to discard its data', '本机被要求放弃数据');
const PEER_DISCARDS = text('the peer was told to discard its data', '对端被要求放弃数据');
const UNRESOLVED = text(
  'split brain, and no policy decides: an operator must choose whose changes are discarded',
  '脑裂，且没有策略可裁决：须由操作员选择放弃哪一端的改动',
);
const NO_SOURCE = text(
  'this side should be the source, but its own disk is not consistent',
  '本机应为源，但本机磁盘不一致',
);
const WOULD_OVERWRITE_PRIMARY = text(
  'this side is primary and would be overwritten (rr-conflict)',
  '本机为主节点，数据将被覆盖（rr-conflict）',
);
const VIOLENTLY = text(
  'rr-conflict is violently: the primary is overwritten',
  'rr-conflict 为 violently：主节点数据被覆盖',
);
const DRY_RUN = text('a dry run: nothing is done', '仅试运行：不执行任何操作');
