/** The after-sb policies: who gives in when both sides have changes of their own. */
import { type Text, text, unreachable } from '../../base/index.ts';
import type { GenerationId } from '../../wire/index.ts';
import { wasPrimary } from './uuids.ts';

export type AfterSb0 =
  | 'disconnect'
  | 'discard-younger-primary'
  | 'discard-older-primary'
  | 'discard-zero-changes'
  | 'discard-least-changes'
  | 'discard-local'
  | 'discard-remote';
export type AfterSb1 = 'disconnect' | 'consensus' | 'violently-as0p' | 'discard-secondary' | 'call-pri-lost-after-sb';
export type AfterSb2 = 'disconnect' | 'violently-as0p' | 'call-pri-lost-after-sb';
export type AfterSb = { readonly none: AfterSb0; readonly one: AfterSb1; readonly two: AfterSb2 };

export type SplitSide = {
  readonly primary: boolean;
  /** Of its identifiers the bitmap one: its bit 0 tells whether that side was primary when the split began. */
  readonly bitmap: GenerationId;
  /** Changed blocks, as told in P_UUIDS. */
  readonly bits: number;
};
export type Split = {
  readonly mine: SplitSide;
  readonly peer: SplitSide;
  readonly resolver: boolean;
  readonly policies: AfterSb;
};
export type Settled = {
  /** Who keeps its data; undefined when the policy does not decide. */
  readonly winner: 'mine' | 'peer' | undefined;
  /** We are primary and give in: demote first; if that fails, call pri-lost-after-sb and stay apart. */
  readonly demote: boolean;
  readonly reason: Text;
};

const say = (winner: Settled['winner'], reason: Text, demote = false): Settled => ({ winner, demote, reason });

/** By the number of primaries there are now, both sides counted. */
export function settle(s: Split): Settled {
  switch (Number(s.mine.primary) + Number(s.peer.primary)) {
    case 0:
      return withoutPrimary(s);
    case 1:
      return withOnePrimary(s);
    default:
      return withTwoPrimaries(s);
  }
}

const disconnect = (n: number): Settled =>
  say(undefined, text(`after-sb-${n}pri is disconnect`, `after-sb-${n}pri 为 disconnect`));

function withoutPrimary(s: Split): Settled {
  const policy = s.policies.none;
  const [mine, peer] = [wasPrimary(s.mine.bitmap), wasPrimary(s.peer.bitmap)];
  const by = (en: string, zh: string): Text => text(`${policy}: ${en}`, `${policy}：${zh}`);
  switch (policy) {
    case 'disconnect':
      return disconnect(0);
    case 'discard-younger-primary':
    case 'discard-older-primary': {
      if (mine === peer) {
        const zero = zeroChanges(s);
        return zero.winner === undefined ? leastChanges(s) : zero;
      }
      // Who was primary when the split began is the older of both.
      const keepOlder = policy === 'discard-younger-primary';
      const winner = mine === keepOlder ? 'mine' : 'peer';
      return say(
        winner,
        winner === 'mine'
          ? by('this side keeps its data', '本机保留数据')
          : by('the peer keeps its data', '对端保留数据'),
      );
    }
    case 'discard-zero-changes':
      return zeroChanges(s);
    case 'discard-least-changes':
      return leastChanges(s);
    case 'discard-local':
      return say('peer', by('this side gives in', '本机放弃'));
    case 'discard-remote':
      return say('mine', by('the peer gives in', '对端放弃'));
    default:
      return unreachable(policy);
  }
}

function zeroChanges(s: Split): Settled {
  const [mine, peer] = [s.mine.bits, s.peer.bits];
  if (mine === 0 && peer === 0)
    return say(
      s.resolver ? 'peer' : 'mine',
      text('neither side changed anything; a fixed tie-break decides', '两端均无改动，由固定规则裁决'),
    );
  if (peer === 0) return say('mine', text('the peer changed nothing', '对端没有改动'));
  if (mine === 0) return say('peer', text('this side changed nothing', '本机没有改动'));
  return say(
    undefined,
    text(`both sides changed blocks: ${mine} here, ${peer} there`, `两端都有改动：本机 ${mine} 块，对端 ${peer} 块`),
  );
}
function leastChanges(s: Split): Settled {
  const [mine, peer] = [s.mine.bits, s.peer.bits];
  const counts = text(`${mine} changed blocks here, ${peer} there`, `本机改动 ${mine} 块，对端 ${peer} 块`);
  if (mine !== peer) return say(mine < peer ? 'peer' : 'mine', counts);
  return say(s.resolver ? 'peer' : 'mine', counts);
}

function withOnePrimary(s: Split): Settled {
  const policy = s.policies.one;
  const primary = s.mine.primary ? 'mine' : 'peer';
  switch (policy) {
    case 'disconnect':
      return disconnect(1);
    case 'consensus': {
      const zero = withoutPrimary(s);
      return zero.winner === primary
        ? zero
        : say(
            undefined,
            text('consensus: the secondary would not be the one to give in', 'consensus：放弃方不是备节点'),
          );
    }
    case 'violently-as0p':
      return withoutPrimary(s);
    case 'discard-secondary':
      return say(primary, text('discard-secondary: the primary keeps its data', 'discard-secondary：主节点保留数据'));
    case 'call-pri-lost-after-sb': {
      const zero = withoutPrimary(s);
      return { ...zero, demote: zero.winner === 'peer' && s.mine.primary };
    }
    default:
      return unreachable(policy);
  }
}

function withTwoPrimaries(s: Split): Settled {
  const policy = s.policies.two;
  switch (policy) {
    case 'disconnect':
      return disconnect(2);
    case 'violently-as0p':
      return withoutPrimary(s);
    case 'call-pri-lost-after-sb': {
      const zero = withoutPrimary(s);
      return { ...zero, demote: zero.winner === 'peer' };
    }
    default:
      return unreachable(policy);
  }
}
