/** The configuration of a mirror whose one host is a guest, as each of both reads it: they may be told different things. */

/** What a case adds to the sections of the resource: `key value;` in each, in the place of what the rig says by itself. */
export type Settings = {
  readonly net?: string;
  readonly disk?: string;
  /** Of one volume alone, by its number. */
  readonly diskOf?: readonly string[];
  readonly options?: string;
  readonly handlers?: string;
};
/** Lines of the kernel's and of ours where they must not be the same. */
export type Sides = {
  readonly ours?: Settings;
  /** `lower`: a device of the guest over its first disk. */
  readonly kern?: Settings & { readonly lower?: string };
};
/** Where one side believes that both live. */
export type Addresses = { readonly ours: string; readonly kern: string };

/** Times are those of a guest that is emulated on a busy machine. */
const NET = 'timeout 25; connect-int 6; ping-int 3; ping-timeout 30; socket-check-timeout 2;';
const DISK = 'c-plan-ahead 0; c-min-rate 0; resync-rate 100M;';

/** The last word on each key. */
function merged(...lines: readonly (string | undefined)[]): string {
  const words = lines.flatMap((l) => (l ?? '').split(';')).map((w) => w.trim());
  const byKey = new Map(words.filter((w) => w !== '').map((w) => [w.split(' ')[0], w]));
  return [...byKey.values()].map((w) => `${w};`).join(' ');
}

/** `disks`: of each volume, ours and the kernel's. */
export function confOf(
  disks: readonly { readonly ours: string; readonly kern: string }[],
  addresses: Addresses,
  both: Settings,
  side: Settings = {},
): string {
  const host = (name: 'ours' | 'kern'): string => {
    const volumes = disks.map((d, n) => {
      const place = `device /dev/drbd${n}; disk ${d[name]}; meta-disk internal;`;
      const own = merged(both.diskOf?.[n], side.diskOf?.[n]);
      return disks.length === 1 ? place : `volume ${n} { ${place} ${own === '' ? '' : `disk { ${own} }`} }`;
    });
    return `  on ${name} { ${volumes.join('\n    ')} address ${addresses[name]}:7788; }`;
  };
  return `global { usage-count no; }
resource r0 {
  net { ${merged(NET, both.net, side.net)} }
  disk { ${merged(DISK, both.disk, side.disk)} }
  options { ${merged(both.options, side.options)} }
  handlers { ${both.handlers ?? ''} ${side.handlers ?? ''} }
${host('ours')}
${host('kern')}
}
`;
}
