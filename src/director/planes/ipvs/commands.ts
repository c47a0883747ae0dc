import { type Text, text, unreachable } from '../../../base/index.ts';
import type { HostError, NetlinkOutcome, NetlinkRequest } from '../../../host/index.ts';
import {
  IPVS_CMD,
  type NetlinkWriter,
  writeIpvsDaemon,
  writeIpvsDaemonRole,
  writeIpvsDestination,
  writeIpvsHead,
  writeIpvsIdentity,
  writeIpvsService,
  writeIpvsTimeouts,
} from '../../../wire/index.ts';
import { commandLine } from './describe.ts';
import type { IpvsCommand } from './plan.ts';

const CMD = {
  'service-add': IPVS_CMD.newService,
  'service-edit': IPVS_CMD.setService,
  'service-remove': IPVS_CMD.delService,
  'server-add': IPVS_CMD.newDestination,
  'server-edit': IPVS_CMD.setDestination,
  'server-remove': IPVS_CMD.delDestination,
  'daemon-start': IPVS_CMD.newDaemon,
  'daemon-stop': IPVS_CMD.delDaemon,
  timeouts: IPVS_CMD.setConfig,
} as const satisfies Record<IpvsCommand['do'], number>;

function writeBody(w: NetlinkWriter, c: IpvsCommand): void {
  switch (c.do) {
    case 'service-add':
    case 'service-edit':
      writeIpvsService(w, c.service);
      return;
    case 'service-remove':
      writeIpvsIdentity(w, c.identity);
      return;
    case 'server-add':
    case 'server-edit':
    case 'server-remove':
      writeIpvsIdentity(w, c.identity);
      writeIpvsDestination(w, c.server);
      return;
    case 'daemon-start':
      writeIpvsDaemon(w, c.daemon);
      return;
    case 'daemon-stop':
      writeIpvsDaemonRole(w, c.role);
      return;
    case 'timeouts':
      writeIpvsTimeouts(w, c.timeouts);
      return;
    default:
      unreachable(c);
  }
}
/** One message for each command. */
export const requestOf = (family: number, c: IpvsCommand): NetlinkRequest => ({
  type: family,
  flags: 0,
  write: (w) => writeBody(writeIpvsHead(w, CMD[c.do]), c),
});

const ENOENT = 2;
const ESRCH = 3;
const EEXIST = 17;
/** asm-generic/errno.h: what the IPVS code and netlink answer. */
const NAMES: Readonly<Record<number, string>> = {
  1: 'EPERM',
  [ENOENT]: 'ENOENT',
  [ESRCH]: 'ESRCH',
  12: 'ENOMEM',
  16: 'EBUSY',
  [EEXIST]: 'EEXIST',
  19: 'ENODEV',
  22: 'EINVAL',
  71: 'EPROTO',
  93: 'EPROTONOSUPPORT',
  97: 'EAFNOSUPPORT',
  99: 'EADDRNOTAVAIL',
  105: 'ENOBUFS',
};

export const errnoName = (errno: number): string => NAMES[errno] ?? `errno ${errno}`;

/** The table is not as it was thought to be: somebody else changed it. */
export function isRace(c: IpvsCommand, o: NetlinkOutcome): boolean {
  if (o.errno === EEXIST || o.errno === ESRCH) return true;
  return o.errno === ENOENT && (c.do === 'server-edit' || c.do === 'server-remove');
}

/** What the kernel refused, and why as far as its number tells. */
export function commandError(c: IpvsCommand, o: NetlinkOutcome): HostError {
  const line = commandLine(c);
  const why = reasonOf(c, o);
  const doing = why === undefined ? text(line, line) : text(`${line}: ${why.en}`, `${line}：${why.zh}`);
  return { code: errnoName(o.errno), doing };
}
function reasonOf(c: IpvsCommand, o: NetlinkOutcome): Text | undefined {
  if (o.message !== undefined && o.message !== '')
    return text(`the kernel says "${o.message}"`, `内核答复“${o.message}”`);
  if (o.errno === ENOENT && (c.do === 'service-add' || c.do === 'service-edit')) {
    const { scheduler, engine } = c.service;
    const modules = [`ip_vs_${scheduler}`, ...(engine === undefined ? [] : [`ip_vs_pe_${engine}`])].join(', ');
    return text(
      `this kernel does not offer the scheduler or persistence engine (modules ${modules})`,
      `内核不提供该调度算法或持久性引擎（模块 ${modules}）`,
    );
  }
  if (NAMES[o.errno] === 'EPERM') return text('needs CAP_NET_ADMIN', '需要 CAP_NET_ADMIN 权限');
  if (c.do === 'daemon-start' && NAMES[o.errno] === 'ENODEV')
    return text(`there is no interface ${c.daemon.interface}`, `没有接口 ${c.daemon.interface}`);
  if (o.errno === EEXIST || o.errno === ESRCH || o.errno === ENOENT)
    return text('another program changes the table at the same time', '另一个程序正在同时修改该表');
  return undefined;
}
