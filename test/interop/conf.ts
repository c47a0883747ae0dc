/** keepalived.conf texts for the pairs of routers that tests and benchmarks compare. Both programs are given the same text. */

export type InstanceConf = {
  readonly name: string;
  readonly vrid: number;
  readonly interface: string;
  readonly version: 2 | 3;
  /** BACKUP unless said. An owner (priority 255) takes its addresses at once only as MASTER. */
  readonly state?: 'MASTER' | 'BACKUP';
  readonly priority: number;
  /** Seconds; whole for version 2. */
  readonly advertInt: number;
  /** As they stand in `virtual_ipaddress`. */
  readonly addresses: readonly string[];
  /** Further lines of the block, word for word: `nopreempt`, `authentication {`, ... */
  readonly lines?: readonly string[];
};
export type Conf = {
  /** Lines of `global_defs`, word for word. */
  readonly global?: readonly string[];
  /** Whole blocks before the instances: `vrrp_script`, ... */
  readonly before?: readonly string[];
  readonly instances: readonly InstanceConf[];
  /** Whole blocks behind the instances: `vrrp_sync_group`, ... */
  readonly after?: readonly string[];
};

const instance = (i: InstanceConf): string =>
  [
    `vrrp_instance ${i.name} {`,
    `    state ${i.state ?? 'BACKUP'}`,
    `    version ${i.version}`,
    `    interface ${i.interface}`,
    `    virtual_router_id ${i.vrid}`,
    `    priority ${i.priority}`,
    `    advert_int ${i.advertInt}`,
    ...(i.lines ?? []).map((line) => `    ${line}`),
    '    virtual_ipaddress {',
    ...i.addresses.map((a) => `        ${a}`),
    '    }',
    '}',
  ].join('\n');

export const renderConf = (c: Conf): string =>
  `${[
    ['global_defs {', '    router_id LAB', ...(c.global ?? []).map((line) => `    ${line}`), '}'].join('\n'),
    ...(c.before ?? []),
    ...c.instances.map(instance),
    ...(c.after ?? []),
  ].join('\n\n')}\n`;
