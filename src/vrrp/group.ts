/**
 * Sync groups: several virtual routers that are master together or not at all. Pure; a second layer over `machine.ts`
 * that turns what one member did into events for the others.
 */
import type { RouterState } from './state.ts';
import type { Because, Effect, Event, Fault, Health } from './types.ts';

export type Member = { readonly name: string; readonly state: RouterState };
export type GroupEvent = { readonly member: string; readonly event: Event };
/** FAULT if one member has one, MASTER when all are, BACKUP otherwise; INIT until every member has begun. */
export type GroupStateName = 'INIT' | 'BACKUP' | 'MASTER' | 'FAULT' | 'STOPPED';

export function groupState(members: readonly Member[]): GroupStateName {
  const all = (is: RouterState['is']): boolean => members.every((m) => m.state.is === is);
  if (all('STOPPED')) return 'STOPPED';
  if (members.some((m) => m.state.is === 'FAULT')) return 'FAULT';
  if (members.some((m) => m.state.is === 'INIT')) return 'INIT';
  return all('MASTER') ? 'MASTER' : 'BACKUP';
}

/** A member's silence has lasted long enough, or it is master. */
const ready = (s: RouterState): boolean => s.is === 'MASTER' || (s.is === 'BACKUP' && s.downAt === undefined);

/** What the others must do after `member` made `effects`; `members` with its state behind the step. */
export function follow(
  group: string,
  members: readonly Member[],
  member: string,
  effects: readonly Effect[],
): GroupEvent[] {
  const out: GroupEvent[] = [];
  const others = members.filter((m) => m.name !== member);
  const wrap = (because: Because): Because =>
    because.why === 'sync-group' ? because : { why: 'sync-group', group, member, because };
  for (const e of effects) {
    switch (e.do) {
      case 'wants-master':
        if (members.every((m) => ready(m.state)))
          for (const m of members)
            out.push({
              member: m.name,
              event: { kind: 'sync', to: 'MASTER', because: m.name === member ? e.because : wrap(e.because) },
            });
        break;
      case 'transition':
        if (e.to === 'BACKUP' && e.from === 'MASTER')
          for (const m of others)
            if (m.state.is === 'MASTER')
              out.push({ member: m.name, event: { kind: 'sync', to: 'BACKUP', because: wrap(e.because) } });
        break;
      case 'met-rival':
        for (const m of others)
          if (m.state.is === 'MASTER') out.push({ member: m.name, event: { kind: 'sync-announce' } });
        break;
      default:
        break;
    }
  }
  return out;
}

/**
 * Each member's health as the group sees it: one member's fault is everybody's, and all wait until none waits. `own`
 * is each member's health by itself, in the order of the result.
 */
export function groupHealth(
  group: string,
  own: readonly { readonly name: string; readonly health: Health }[],
): readonly Health[] {
  const waiting = own.some((m) => m.health.waiting);
  const sick = own.filter((m) => m.health.faults.length > 0);
  if (!waiting && sick.length === 0) return own.map((m) => m.health);
  return own.map((m) => ({
    priority: m.health.priority,
    waiting,
    faults: [
      ...m.health.faults,
      ...sick
        .filter((other) => other.name !== m.name)
        .map((other): Fault => ({ kind: 'sync-group', group, member: other.name })),
    ],
  }));
}
