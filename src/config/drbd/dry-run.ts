/** What the tools of 8.4 would call to bring a resource up, as `drbdadm -d up` prints it; secrets are masked. Pure. */
import { familyOf } from '../../base/index.ts';
import type { Endpoint, MetadataPlace, VolumeConfig } from '../../mirror/config.ts';
import type { Run } from './mirror.ts';
import type { Given } from './model.ts';

export const MASK = '********';
const option = (g: Given): string => `--${g.row.name}=${g.row.name === 'shared-secret' ? MASK : g.typed}`;
const options = (all: readonly Given[]): string => all.map((g) => ` ${option(g)}`).join('');
const address = (e: Endpoint): string =>
  familyOf(e.address) === 6 ? `ipv6:[${e.address}]:${e.port}` : `ipv4:${e.address}:${e.port}`;
/** Device and index as drbdmeta and as drbdsetup want them. */
function metadata(m: MetadataPlace, disk: string): { readonly meta: string; readonly attach: string } {
  switch (m.kind) {
    case 'internal':
      return { meta: `${disk} internal`, attach: `${disk} internal` };
    case 'flexible':
      return { meta: `${m.device} flex-external`, attach: `${m.device} flexible` };
    case 'indexed':
      return { meta: `${m.device} ${m.index}`, attach: `${m.device} ${m.index}` };
  }
}

export function dryRunUp(run: Extract<Run, { kind: 'here' }>): string[] {
  const { mirror, said } = run;
  const attach = (v: VolumeConfig): string[] => {
    if (v.disk === undefined) return [];
    const m = metadata(v.metadata, v.disk);
    return [
      `drbdmeta ${v.minor} v08 ${m.meta} apply-al`,
      `drbdsetup-84 attach ${v.minor} ${v.disk} ${m.attach}${options(said.disk.get(v.number) ?? [])}`,
    ];
  };
  return [
    `drbdsetup-84 new-resource ${mirror.name}${options(said.resource)}`,
    ...mirror.volumes.map((v) => `drbdsetup-84 new-minor ${mirror.name} ${v.minor} ${v.number}`),
    ...mirror.volumes.flatMap(attach),
    `drbdsetup-84 connect ${mirror.name} ${address(mirror.local)} ${address(mirror.remote)}${options(said.net)}`,
  ];
}
