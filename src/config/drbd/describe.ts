/** A drbd.conf as `drbdadm dump` prints it: 8.3 spellings in their places of now, secrets masked. Pure. */
import { MASK } from './dry-run.ts';
import { nameOf } from './hosts.ts';
import type { DrbdResource } from './mirror.ts';
import type {
  AddressGiven,
  ConnectionGiven,
  EndGiven,
  HostGiven,
  OptionSections,
  OptionSet,
  ResourceGiven,
  VolumeGiven,
} from './model.ts';
import type { DrbdConfig } from './reader.ts';

type Lines = readonly string[];
const INDENT = '    ';
const section = (head: string, ...parts: readonly Lines[]): Lines => [
  `${head} {`,
  ...parts.flat().map((l) => (l === '' ? l : INDENT + l)),
  '}',
];
const sectionIfAny = (head: string, lines: Lines): Lines => (lines.length === 0 ? [] : section(head, lines));
/** As drbdadm: names to 16 columns, values right-aligned to 3. */
const line = (name: string, value: string): string => `${name.padEnd(16)} ${value.padStart(3)};`;
/** What would not be read again as one word is quoted. */
const quoted = (s: string): string => (/^[A-Za-z0-9/_.:-]+$/.test(s) ? s : `"${s}"`);

function optionLines(set: OptionSet): Lines {
  return [...set.values()].map((g) => {
    if (g.row.name === 'shared-secret') return line(g.row.name, `"${MASK}"`);
    // drbdadm takes no value for these.
    if (g.row.section === 'global' && g.row.type.is === 'yes-no') return `${g.row.name};`;
    return line(g.row.name, g.row.type.is === 'text' ? quoted(g.typed) : g.typed);
  });
}
const SECTIONS = ['options', 'net', 'disk', 'startup', 'handlers'] as const;
const sectionLines = (s: OptionSections): Lines => SECTIONS.flatMap((n) => sectionIfAny(n, optionLines(s[n])));

function volumeBody(v: VolumeGiven): Lines {
  const meta = v.meta?.value;
  const device = v.device?.value;
  return [
    ...(device ? [line('device', `${device.name}${device.minor === undefined ? '' : ` minor ${device.minor}`}`)] : []),
    ...(v.disk ? [line('disk', quoted(v.disk.value))] : []),
    ...sectionIfAny('disk', optionLines(v.options)),
    ...(meta ? [line('meta-disk', `${quoted(meta.device)}${meta.index === undefined ? '' : ` [${meta.index}]`}`)] : []),
  ];
}
const volumeLines = (v: VolumeGiven): Lines =>
  v.implicit ? volumeBody(v) : section(`volume ${v.number}`, volumeBody(v));
export const addressText = (a: AddressGiven): string => {
  const bare = a.address.includes(':') ? `[${a.address}]` : a.address;
  return `${a.family} ${bare}${a.port === undefined ? '' : `:${a.port}`}`;
};
function hostLines(h: HostGiven): Lines {
  const names = h.names.map((n) => quoted(n.text)).join(' ');
  const head =
    h.kind === 'on'
      ? `on ${names}`
      : h.kind === 'stacked'
        ? `stacked-on-top-of ${names}`
        : `floating ${h.address ? addressText(h.address.value) : names}`;
  const address = h.address && h.kind !== 'floating' ? [line('address', addressText(h.address.value))] : [];
  return section(head, [...h.volumes.values()].flatMap(volumeLines), address);
}
const endLine = (e: EndGiven): string =>
  `host ${quoted(e.host.text)}${e.address ? ` address ${addressText(e.address.value)}` : ''}${e.port === undefined ? '' : ` port ${e.port}`};`;
function connectionLines(c: ConnectionGiven): Lines {
  return section(
    'connection',
    c.ends.map(endLine),
    c.paths.flatMap((p) => section('path', p.map(endLine))),
    sectionIfAny('net', optionLines(c.net)),
    sectionIfAny('disk', optionLines(c.disk)),
    [...c.volumes].flatMap(([n, o]) => section(`volume ${n}`, sectionIfAny('disk', optionLines(o)))),
  );
}

function resourceLines(r: ResourceGiven): Lines {
  return section(
    `resource ${quoted(r.name)}`,
    [...r.volumes.values()].flatMap(volumeLines),
    r.hosts.flatMap(hostLines),
    r.meshes.flatMap((m) =>
      section(
        'connection-mesh',
        [`hosts ${m.hosts.map((h) => quoted(h.text)).join(' ')};`],
        sectionIfAny('net', optionLines(m.net)),
      ),
    ),
    r.connections.flatMap(connectionLines),
    sectionLines(r.sections),
  );
}

/** `hostName` stands in drbdadm's comment above each resource. */
export function describeDrbdResource(r: DrbdResource, hostName: string): string {
  const ignored = r.run.kind === 'elsewhere' ? 'ignored' : 'not ignored';
  const stacked = r.written.hosts.some((h) => h.kind === 'stacked') ? 'stacked' : 'not stacked';
  return [
    `# resource ${r.name} on ${hostName}: ${ignored}, ${stacked}`,
    `# defined at ${r.at.file}:${r.at.line}`,
    ...resourceLines(r.written),
    '',
  ]
    .map((l) => `${l}\n`)
    .join('');
}
export function describeDrbdConf(c: DrbdConfig, file: string, hostName: string): string {
  const block = (lines: Lines): string => (lines.length === 0 ? '' : `${lines.join('\n')}\n\n`);
  return (
    `# ${file}\n` +
    block(sectionIfAny('global', optionLines(c.written.global))) +
    block(sectionIfAny('common', sectionLines(c.written.common))) +
    c.resources.map((r) => describeDrbdResource(r, hostName)).join('')
  );
}
export const hostNames = (r: DrbdResource): string[] => r.written.hosts.map(nameOf);
