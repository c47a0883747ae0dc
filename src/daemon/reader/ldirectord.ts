/** An ldirectord.cf as the daemon is told it: the director's part is its own, the rest that of a file with nothing in it. */
import { execFileSync } from 'node:child_process';
import { hostname } from 'node:os';
import { type Family, familyOf, type IpAddress, parseIp } from '../../base/index.ts';
import { type ReadOptions, readKeepalivedConf } from '../../config/keepalived/index.ts';
import { type LdirectordConfig, readLdirectordCf } from '../../config/ldirectord/index.ts';
import { disk } from './disk.ts';
import type { Reading } from './reading.ts';

/** ldirectord runs external checks as root. */
const REST = 'global_defs {\n script_user root\n}\n';
const SMTP = 25;
/** A name server that is away must not hold up the reader for longer. */
const NAME_WITHIN = 5000;

export function readLdirectord(file: string, options: ReadOptions): Reading {
  const names = new Map<string, IpAddress | undefined>();
  const resolve = (name: string, family: Family): IpAddress | undefined => {
    const key = `${family} ${name}`;
    if (!names.has(key)) names.set(key, addressOf(name, family));
    return names.get(key);
  };
  const read = readLdirectordCf({ file, files: disk, hostName: hostname(), resolve });
  const none = { ...disk, read: () => REST };
  const rest = readKeepalivedConf({ file, files: none, options }).config;
  const { config, ...found } = read;
  if (config === undefined || rest === undefined) return { ...found, config: undefined };
  const vrrp = { ...rest.vrrp, mail: mailOf(rest.vrrp.mail, config) };
  const { autoReload, director } = config;
  const keepServers = director.flushAtStop === 'no';
  return { ...found, config: { ...rest, vrrp, director }, keepServers, autoReload };
}

function mailOf<M extends { readonly from: string; readonly server: unknown }>(usual: M, c: LdirectordConfig): M {
  if (!c.mail) return usual;
  const { to, from, server } = c.mail;
  return {
    ...usual,
    to,
    ...(from !== undefined && { from }),
    server: { host: server ?? '127.0.0.1', port: SMTP },
  };
}

/** As the system's resolver says: /etc/hosts, DNS and whatever else nsswitch.conf names. */
function addressOf(name: string, family: Family): IpAddress | undefined {
  try {
    const out = execFileSync('getent', [family === 4 ? 'ahostsv4' : 'ahostsv6', name], {
      encoding: 'utf8',
      timeout: NAME_WITHIN,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ip = parseIp(out.split(/\s/, 1)[0] ?? '');
    return ip.ok && familyOf(ip.value) === family ? ip.value : undefined;
  } catch {
    return undefined; // the file's error says which name
  }
}
