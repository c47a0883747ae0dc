/** What services, servers and checkers are called: in keys and status as people read it, in FIFOs as keepalived writes it. */
import { formatEndpoint, type IpAddress, unreachable } from '../../base/index.ts';
import type { CheckId } from '../check.ts';
import type { Checker, RealServer, SorryServer, VirtualServer } from '../config.ts';
import type { ServerKey, ServiceKey } from '../types.ts';

export function serviceKey(v: VirtualServer): ServiceKey {
  const s = v.service;
  switch (s.by) {
    case 'address':
      return `${s.protocol} ${formatEndpoint(s.address, s.port)}`;
    case 'fwmark':
      return `fwmark ${s.mark} ipv${s.family}`;
    case 'group':
      return `${s.protocol} group ${s.group}`;
    default:
      return unreachable(s);
  }
}
/** 0: the port that the client asked for (marks, groups, services of every port). */
export const serverPort = (v: VirtualServer, s: RealServer | SorryServer): number =>
  s.port ?? (v.service.by === 'address' ? v.service.port : 0);
export const serverKey = (v: VirtualServer, s: RealServer | SorryServer): ServerKey =>
  formatEndpoint(s.address, serverPort(v, s));

function target(c: Checker): string {
  const at = (x: { readonly address: IpAddress; readonly port: number | undefined }): string =>
    x.port === undefined ? x.address : formatEndpoint(x.address, x.port);
  switch (c.kind) {
    case 'http':
    case 'tcp':
    case 'dns':
    case 'udp':
    case 'ping':
    case 'alternating':
    case 'mysql':
    case 'postgres':
    case 'ldap':
    case 'ftp':
    case 'imap':
    case 'pop':
    case 'nntp':
    case 'sip':
    case 'radius':
    case 'simple':
    case 'grpc':
      return at(c.connection);
    case 'smtp':
      return c.hosts.map(at).join(',');
    case 'misc':
      return c.script.argv.join(' ');
    case 'bfd':
      return c.session;
    case 'file':
      return c.file;
    case 'fixed':
      return c.up ? 'up' : 'down';
    default:
      return unreachable(c);
  }
}
/** `http 192.168.1.11:80`, `https ...`, `misc /usr/bin/check a b`: not yet unique. */
export function checkName(c: Checker): string {
  const kind = c.kind === 'alternating' ? c.full.kind : c.kind;
  return `${c.kind === 'http' && c.tls ? 'https' : kind} ${target(c)}`;
}

export function checkIds(service: ServiceKey, server: ServerKey, checkers: readonly Checker[]): CheckId[] {
  const seen = new Map<string, number>();
  return checkers.map((c) => {
    const name = checkName(c);
    const n = (seen.get(name) ?? 0) + 1;
    seen.set(name, n);
    return `${service} ${server} ${name}${n === 1 ? '' : `#${n}`}`;
  });
}

// ---- keepalived's spelling: `VS [192.168.1.99]:tcp:80 UP`, `RS [192.168.1.11]:tcp:80 [192.168.1.99]:tcp:80 DOWN`

const protocolOf = (v: VirtualServer): string => (v.service.by === 'fwmark' ? 'none' : v.service.protocol);
export function fifoService(v: VirtualServer): string {
  const s = v.service;
  switch (s.by) {
    case 'address':
      return `[${s.address}]:${s.protocol}:${s.port}`;
    case 'fwmark':
      return `FWM ${s.mark}`;
    case 'group':
      return `[${s.group}]:${s.protocol}:0`;
    default:
      return unreachable(s);
  }
}
export const fifoServer = (v: VirtualServer, s: RealServer): string =>
  `[${s.address}]:${protocolOf(v)}:${serverPort(v, s)}`;
