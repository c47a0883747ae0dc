import { familyOf, type Language, unreachable } from '../../../base/index.ts';
import { IPVS_FLAG, type IpvsDestination, type IpvsIdentity, type IpvsService } from '../../../wire/index.ts';
import { endpoint } from './actual.ts';
import type { IpvsCommand, IpvsStep } from './plan.ts';

type Words = readonly (string | false | undefined)[];
const join = (words: Words): string => words.filter((w) => w !== undefined && w !== false && w !== '').join(' ');

const BY_PROTOCOL: Readonly<Record<number, string>> = { 6: '-t', 17: '-u', 132: '--sctp-service' };
function identityWords(i: IpvsIdentity): string {
  if (i.by === 'fwmark') return `-f ${i.mark}${i.family === 6 ? ' -6' : ''}`;
  return `${BY_PROTOCOL[i.protocol] ?? `--protocol ${i.protocol}`} ${endpoint(i)}`;
}
const familyOfIdentity = (i: IpvsIdentity): 4 | 6 => (i.by === 'fwmark' ? i.family : familyOf(i.address));

/** The mask of an IPv4 service as people write it. */
export const dotted = (mask: number): string => [24, 16, 8, 0].map((shift) => (mask >>> shift) & 255).join('.');

const FLAG_BITS = [IPVS_FLAG.scheduler1, IPVS_FLAG.scheduler2, IPVS_FLAG.scheduler3] as const;
/** By the scheduler's own names where it has some. */
export function schedulerFlags(s: Pick<IpvsService, 'scheduler' | 'flags'>): string[] {
  const own = s.scheduler === 'sh' || s.scheduler === 'mh';
  const names = own ? [`${s.scheduler}-fallback`, `${s.scheduler}-port`, 'flag-3'] : ['flag-1', 'flag-2', 'flag-3'];
  return names.filter((_, i) => (s.flags & (FLAG_BITS[i] as number)) !== 0);
}

function serviceWords(s: IpvsService): Words {
  const six = familyOfIdentity(s.identity) === 6;
  const flags = schedulerFlags(s);
  const whole = s.netmask === (six ? 128 : 0xffff_ffff);
  return [
    identityWords(s.identity),
    `-s ${s.scheduler}`,
    (s.flags & IPVS_FLAG.persistent) !== 0 && `-p ${s.timeout}`,
    !whole && `-M ${six ? s.netmask : dotted(s.netmask)}`,
    s.engine !== undefined && `--pe ${s.engine}`,
    (s.flags & IPVS_FLAG.onePacket) !== 0 && '-o',
    flags.length > 0 && `-b ${flags.join(',')}`,
  ];
}
const FORWARD = { nat: '-m', local: '-g', tunnel: '-i', 'direct-routing': '-g', bypass: '-g' } as const;
function tunnelWords({ forward, tunnel: t }: IpvsDestination): Words {
  if (forward !== 'tunnel') return [];
  return [
    `--tun-type ${t.type}`,
    t.type === 'gue' && `--tun-port ${t.port}`,
    (t.flags & 1) !== 0 && '--tun-csum',
    (t.flags & 2) !== 0 && '--tun-remcsum',
  ];
}
const serverWords = (d: IpvsDestination): Words => [
  FORWARD[d.forward],
  `-w ${d.weight}`,
  ...tunnelWords(d),
  d.upperThreshold !== 0 && `-x ${d.upperThreshold}`,
  d.lowerThreshold !== 0 && `-y ${d.lowerThreshold}`,
];

/** The `ipvsadm` command that does the same: for logs and plans, to be read and pasted, never run by Holdfast. */
export function commandLine(c: IpvsCommand): string {
  switch (c.do) {
    case 'service-add':
    case 'service-edit':
      return join([`ipvsadm ${c.do === 'service-add' ? '-A' : '-E'}`, ...serviceWords(c.service)]);
    case 'service-remove':
      return `ipvsadm -D ${identityWords(c.identity)}`;
    case 'server-add':
    case 'server-edit':
      return join([
        `ipvsadm ${c.do === 'server-add' ? '-a' : '-e'}`,
        identityWords(c.identity),
        `-r ${endpoint(c.server)}`,
        ...serverWords(c.server),
      ]);
    case 'server-remove':
      return `ipvsadm -d ${identityWords(c.identity)} -r ${endpoint(c.server)}`;
    case 'daemon-start': {
      const d = c.daemon;
      return join([
        `ipvsadm --start-daemon ${d.role} --mcast-interface ${d.interface} --syncid ${d.id}`,
        d.maxLength !== 0 && `--sync-maxlen ${d.maxLength}`,
        d.group !== undefined && `--mcast-group ${d.group}`,
        d.port !== 0 && `--mcast-port ${d.port}`,
        d.ttl !== 0 && `--mcast-ttl ${d.ttl}`,
      ]);
    }
    case 'daemon-stop':
      return `ipvsadm --stop-daemon ${c.role}`;
    case 'timeouts':
      return `ipvsadm --set ${c.timeouts.tcp} ${c.timeouts.tcpfin} ${c.timeouts.udp}`;
    default:
      return unreachable(c);
  }
}

/** One line for each command, with its reason as a comment; what a plan looks like in logs and golden files. */
export function describePlan(steps: readonly IpvsStep[], language: Language): string {
  if (steps.length === 0) return language === 'zh' ? '# 无需改动' : '# nothing to do';
  return steps.map((s) => `${commandLine(s.command)}  # ${s.reason[language]}`).join('\n');
}
