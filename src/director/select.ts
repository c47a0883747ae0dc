/**
 * Which plane carries a service. Pure but for asking the planes what they refuse.
 *
 * Direct routing and tunnels: bpf, then nft, then IPVS. bpf costs least for a packet of a known flow (147 ns against
 * nft's 400 to 627), and both choose by a hash that the other director computes too, so that established connections
 * survive a change of director with nothing to synchronise; IPVS needs its sync daemon for that. IPVS comes first where
 * it alone is exact: least-connection schedulers and limits count real connections there, elsewhere they are estimated
 * once a second. NAT: IPVS, then nft (about half of the cost of a new flow). The proxy ends connections and hides the
 * client's address; it is for who asks for it.
 */
import { type Text, text } from '../base/index.ts';
import type { Scheduler } from './config.ts';
import type { Plane, PlaneName, Refusal, WantedService } from './types.ts';

export type PassedOver = { readonly plane: PlaneName; readonly refusal: Refusal };
export type Choice =
  | { readonly ok: true; readonly plane: PlaneName; readonly why: Text; readonly passedOver: readonly PassedOver[] }
  | { readonly ok: false; readonly passedOver: readonly PassedOver[] };

const COUNTING: ReadonlySet<Scheduler> = new Set(['lc', 'wlc', 'sed', 'nq', 'lblc', 'lblcr', 'ovf', 'twos']);

type Preference = { readonly order: readonly PlaneName[]; readonly why: Text };
function preference(s: WantedService): Preference {
  if (s.servers.some((x) => x.forwarding.method === 'nat'))
    return {
      order: ['ipvs', 'nft', 'bpf'],
      why: text('NAT costs least there', '在此进行 NAT 开销最小'),
    };
  if (COUNTING.has(s.scheduler))
    return {
      order: ['ipvs', 'bpf', 'nft'],
      why: text(
        `the scheduler ${s.scheduler} counts connections exactly there`,
        `在此调度算法 ${s.scheduler} 能准确统计连接数`,
      ),
    };
  if (s.servers.some((x) => x.upperThreshold !== undefined))
    return {
      order: ['ipvs', 'bpf', 'nft'],
      why: text('limits of connections are exact there', '在此连接数上限准确'),
    };
  return {
    order: ['bpf', 'nft', 'ipvs'],
    why: text(
      'established connections survive a change of director there with nothing to synchronise',
      '在此更换调度器时已建立的连接无需同步即可保持',
    ),
  };
}

/**
 * `asked`: by the operator; undefined = the best. `present`: where the service is now; it stays as long as it can, since
 * its connections are there. `service` with all the servers that may ever be wanted.
 */
export function choosePlane(
  service: WantedService,
  planes: readonly Plane[],
  o: { readonly asked: PlaneName | undefined; readonly present: PlaneName | undefined },
): Choice {
  const { order, why } = preference(service);
  const wanted = o.asked === undefined ? order : [o.asked];
  const first = o.asked === undefined && o.present !== undefined && o.present !== 'proxy' ? [o.present] : [];
  const passedOver: PassedOver[] = [];
  for (const name of new Set([...first, ...wanted])) {
    const refusal = planes.find((p) => p.name === name)?.refuses(service) ?? missing(planes, name);
    if (refusal) passedOver.push({ plane: name, refusal });
    else return { ok: true, plane: name, why: reason(name, o, why, passedOver), passedOver };
  }
  return { ok: false, passedOver };
}
const missing = (planes: readonly Plane[], name: PlaneName): Refusal | undefined =>
  planes.some((p) => p.name === name)
    ? undefined
    : { code: 'no-such-plane', text: text('it is not available on this host', '本机不提供该数据面') };

function reason(
  name: PlaneName,
  o: { readonly asked: PlaneName | undefined; readonly present: PlaneName | undefined },
  best: Text,
  passedOver: readonly PassedOver[],
): Text {
  if (o.asked === name) return text('it was asked for', '按配置指定');
  if (passedOver.length > 0) return describePassedOver(passedOver);
  return o.present === name ? text('it was there before', '此前即由其承载') : best;
}

/** `bpf cannot: ...; nft cannot: ...`. */
export function describePassedOver(passedOver: readonly PassedOver[]): Text {
  return text(
    passedOver.map((p) => `${p.plane} cannot: ${p.refusal.text.en}`).join('; '),
    passedOver.map((p) => `${p.plane} 不能：${p.refusal.text.zh}`).join('；'),
  );
}
