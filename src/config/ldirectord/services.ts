/** Names of ports: /etc/services, and where there is none what ldirectord's users write. */
const WELL_KNOWN: Readonly<Record<string, number>> = {
  ftp: 21,
  smtp: 25,
  domain: 53,
  http: 80,
  www: 80,
  pop3: 110,
  nntp: 119,
  imap2: 143,
  imap: 143,
  ldap: 389,
  https: 443,
  submission: 587,
  ldaps: 636,
  imaps: 993,
  pop3s: 995,
  radius: 1812,
  mysql: 3306,
  postgresql: 5432,
  sip: 5060,
};
export function portNames(etcServices: string | undefined): (name: string) => number | undefined {
  const found = new Map(Object.entries(WELL_KNOWN));
  for (const line of (etcServices ?? '').split('\n')) {
    const m = /^([^#\s]+)\s+(\d{1,5})\/(?:tcp|udp)\s*([^#]*)/.exec(line);
    if (!m) continue;
    for (const name of [m[1] as string, ...(m[3] as string).split(/\s+/)])
      if (name !== '' && !found.has(name)) found.set(name, Number(m[2]));
  }
  return (name) => found.get(name);
}

export const SERVICES = [
  'dns',
  'ftp',
  'http',
  'https',
  'http_proxy',
  'imap',
  'imaps',
  'ldap',
  'ldaps',
  'mysql',
  'nntp',
  'none',
  'oracle',
  'pgsql',
  'pop',
  'pops',
  'radius',
  'simpletcp',
  'sip',
  'smtp',
  'submission',
] as const;
export type Service = (typeof SERVICES)[number];
const BY_PORT: Readonly<Record<number, Service>> = {
  21: 'ftp',
  25: 'smtp',
  53: 'dns',
  80: 'http',
  110: 'pop',
  119: 'nntp',
  143: 'imap',
  389: 'ldap',
  443: 'https',
  587: 'submission',
  993: 'imaps',
  995: 'pops',
  1521: 'oracle',
  1812: 'radius',
  3128: 'http_proxy',
  3306: 'mysql',
  5432: 'pgsql',
  5060: 'sip',
};
/** What a virtual server without `service` is taken for. */
export const serviceOf = (port: number): Service => BY_PORT[port] ?? 'none';
