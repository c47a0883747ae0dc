/** What each process and the notifier are told of one configuration. Pure. */
import { type Text, text } from '../../base/index.ts';
import type { DirectorConfig, PlaneName } from '../../director/index.ts';
import type { KeepalivedOptions } from '../command/options.ts';
import type { ReadConfig } from '../messages.ts';
import type { NotifyConfig, ToldFifo } from '../notify/notifier.ts';
import type { ScriptDefaults } from '../scripts/runner.ts';
import type { DirectorSettings } from './director-link.ts';

/** `plane`: for every virtual server that asks for none itself. Without a director's work what it holds is released in order. */
function directorConfig(
  c: DirectorConfig,
  o: { readonly vrrpOnly: boolean; readonly plane: PlaneName | undefined },
): DirectorConfig {
  if (o.vrrpOnly) return { ...c, virtualServers: [] };
  const { plane } = o;
  if (plane === undefined) return c;
  return { ...c, virtualServers: c.virtualServers.map((v) => ({ ...v, options: { plane, ...v.options } })) };
}

export function directorSettings(
  c: ReadConfig,
  o: Pick<KeepalivedOptions, 'only' | 'plane' | 'proxyHeader' | 'peer' | 'umask' | 'namespace'>,
  { generation, ledger }: Pick<DirectorSettings, 'generation' | 'ledger'>,
): DirectorSettings {
  return {
    generation,
    ledger,
    config: directorConfig(c.director, { vrrpOnly: o.only === 'vrrp', plane: o.plane }),
    proxyHeader: o.proxyHeader,
    peer: o.peer,
    process: c.global.processes.checker,
    umask: o.umask ?? c.global.umask,
    namespace: o.namespace ?? c.global.netNamespace,
    scripts: scriptDefaults(c.vrrp),
  };
}

const scriptDefaults = ({ scriptUser, supplementaryGroups }: ReadConfig['vrrp']): ScriptDefaults => ({
  supplementaryGroups,
  ...(scriptUser === undefined ? {} : { scriptUser }),
});

/** What a configuration wishes and is not followed: one line each. */
export function notFollowed({ global, director }: Pick<ReadConfig, 'global' | 'director'>): readonly Text[] {
  if (director.virtualServers.length === 0) return [];
  const out: Text[] = [];
  if (director.flushAtStop === 'all')
    out.push(
      text(
        'lvs_flush_on_stop: virtual servers of others in this kernel stay; only what is ours is removed',
        'lvs_flush_on_stop：内核中他人的虚拟服务器保持不变；只移除属于本程序的部分',
      ),
    );
  if (global.ipvsNamespace !== undefined)
    out.push(
      text(
        'lvs_netns is not followed: virtual servers are in the namespace of the daemon (net_namespace)',
        'lvs_netns 不生效：虚拟服务器位于守护进程所在的网络命名空间（net_namespace）',
      ),
    );
  return out;
}

/** A FIFO that VRRP and the checkers have in common is opened once, and its reader started once. */
export function notifyConfig({ vrrp, director }: Pick<ReadConfig, 'vrrp' | 'director'>): NotifyConfig {
  const { mail, routerId } = vrrp;
  const checkers = new Set(director.fifos.map((f) => f.path));
  const own = director.fifos.filter((f) => !vrrp.fifos.some((v) => v.path === f.path));
  const fifos: ToldFifo[] = [
    ...vrrp.fifos.map((f) => ({ ...f, tells: { vrrp: true, checkers: checkers.has(f.path) } })),
    ...own.map((f) => ({ ...f, tells: { vrrp: false, checkers: true } })),
  ];
  return { fifos, mail, routerId, ...scriptDefaults(vrrp) };
}
