/** What each process and the notifier are told of one configuration. Pure. */
import type { DirectorConfig, PlaneName } from '../../director/index.ts';
import type { ReadConfig } from '../messages.ts';
import type { NotifyConfig, ToldFifo } from '../notify/notifier.ts';

/** `plane`: for every virtual server that asks for none itself. Without a director's work what it holds is released in order. */
export function directorConfig(
  c: DirectorConfig,
  o: { readonly vrrpOnly: boolean; readonly plane: PlaneName | undefined },
): DirectorConfig {
  if (o.vrrpOnly) return { ...c, virtualServers: [] };
  const { plane } = o;
  if (plane === undefined) return c;
  return { ...c, virtualServers: c.virtualServers.map((v) => ({ ...v, options: { plane, ...v.options } })) };
}

/** A FIFO that VRRP and the checkers have in common is opened once, and its reader started once. */
export function notifyConfig({ vrrp, director }: Pick<ReadConfig, 'vrrp' | 'director'>): NotifyConfig {
  const { mail, scriptUser, supplementaryGroups, routerId } = vrrp;
  const checkers = new Set(director.fifos.map((f) => f.path));
  const own = director.fifos.filter((f) => !vrrp.fifos.some((v) => v.path === f.path));
  const fifos: ToldFifo[] = [
    ...vrrp.fifos.map((f) => ({ ...f, tells: { vrrp: true, checkers: checkers.has(f.path) } })),
    ...own.map((f) => ({ ...f, tells: { vrrp: false, checkers: true } })),
  ];
  return { fifos, mail, supplementaryGroups, routerId, ...(scriptUser === undefined ? {} : { scriptUser }) };
}
