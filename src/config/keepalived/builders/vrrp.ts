import { type Place, seconds, text, us } from '../../../base/index.ts';
import type {
  Fifo,
  GarpGroup,
  Instance,
  Script,
  SyncGroup,
  TrackFile,
  TrackGroup,
  TrackProcess,
  TrackScript,
  VrrpConfig,
  Weight,
} from '../../../vrrp/config.ts';
import type { root } from '../grammar/root.ts';
import type { Got, Nested, ValuesOf, Words } from '../grammar/spec.ts';
import type { Report } from '../report.ts';
import type { ReadKey } from './auth.ts';
import { buildInstance } from './instance.ts';
import { buildAddresses, buildRoutes, RulePreferences } from './objects.ts';
import { checkTogether } from './together.ts';
import { buildTracks, type Trackable, weightsOf } from './tracks.ts';
import { asScript, declared, fifoOf, flat, type GlobalValues, maybe } from './values.ts';

export type RootValues = ValuesOf<(typeof root)['words']>;
export type VrrpContext = {
  readonly report: Report;
  readonly global: GlobalValues;
  readonly hostName: string;
  readonly readKey: ReadKey;
  readonly bfds: readonly { readonly name: string; readonly weight: Weight }[];
};

/** All that the VRRP part is told. */
export function buildVrrp(r: RootValues, c: VrrpContext): VrrpConfig {
  const { report, global: g } = c;
  const scripts = unique(r.vrrp_script, report).flatMap((x) => trackScript(x, report));
  const processes = unique(r.vrrp_track_process, report).flatMap((x) => trackProcess(x, report));
  const files = unique(r.track_file, report).flatMap((x) => trackFile(x, report));
  const known: Trackable = {
    scripts: weightsOf(scripts, declared(r.vrrp_script, scripts, report)),
    processes: weightsOf(processes, declared(r.vrrp_track_process, processes, report)),
    files: weightsOf(files, declared(r.track_file, files, report)),
    bfds: weightsOf(c.bfds, declared(r.bfd_instance, c.bfds, report)),
  };
  const preferences = new RulePreferences();
  const byDefault = g.default_interface?.value ?? 'eth0';
  const statics = {
    addresses: buildAddresses(flat(r.static_ipaddress), byDefault, new Map<string, Place>(), report),
    routes: buildRoutes(flat(r.static_routes), report),
    rules: preferences.build(flat(r.static_rules), report),
  };
  const vmacNames = new Map<string, string>();
  const places = new Map<string, Place>();
  const built = unique(r.vrrp_instance, report).flatMap((x): Instance[] => {
    const i = buildInstance(x.value.head, x.at, x.value.values, x.value.refused, {
      report,
      global: g,
      trackable: known,
      preferences,
      readKey: c.readKey,
      vmacNames,
    });
    places.set(x.value.head, x.value.values.virtual_router_id?.at ?? x.at);
    return i ? [i] : [];
  });
  const members = declared(r.vrrp_instance, built, report);
  const groups = unique(r.vrrp_sync_group, report).flatMap((x) => syncGroup(x, members, known, g, report));
  const instances = checkTogether(built, groups, (name) => places.get(name), report);
  const trackGroups = unique(r.track_group, report).map((x) => trackGroup(x, members, report));
  checkTrackGroups(r, trackGroups, report);
  const router = g.router_id?.value ?? c.hostName;
  return {
    routerId: router,
    instances,
    groups,
    scripts,
    processes,
    files,
    statics,
    trackGroups,
    garpGroups: (r.garp_group ?? []).map((x) => garpGroup(x, g, report)),
    garpInterval: g.vrrp_garp_interval?.value ?? us(0),
    gnaInterval: g.vrrp_gna_interval?.value ?? us(0),
    minGarp: g.vrrp_min_garp?.value ?? false,
    filter: { table: g.nftables?.value ?? 'holdfast_vrrp', priority: g.nftables_priority?.value ?? -1 },
    disableLocalIgmp: g.disable_local_igmp !== undefined,
    startupDelay: g.vrrp_startup_delay?.value ?? us(0),
    delayAfterBoot: g.vrrp_delay_after_boot?.value ?? us(0),
    interfaceDelays: flat(r.interface_up_down_delays).map(({ value }) => ({
      interface: value.interface,
      down: seconds(value.down),
      up: seconds(value.up),
    })),
    linkbeat: linkbeatOf(r),
    linkbeatPolling: r.linkbeat_use_polling !== undefined,
    dynamicInterfaces: g.dynamic_interfaces?.value ?? 'no',
    logUnknownVrids: g.log_unknown_vrids !== undefined,
    fifos: fifosOf(g, report),
    fifoStatesOnReload: g.fifo_write_vrrp_states_on_reload !== undefined,
    mail: {
      to: flat(g.notification_email).map((x) => x.value),
      from: g.notification_email_from?.value ?? `keepalived@${c.hostName}`,
      server: g.smtp_server?.value,
      helo: g.smtp_helo_name?.value ?? c.hostName,
      connectTimeout: g.smtp_connect_timeout?.value ?? seconds(30),
      onFault: g.no_email_faults === undefined,
    },
    ...maybe('scriptUser', g.script_user?.value),
    scriptSecurity: g.enable_script_security !== undefined,
    supplementaryGroups: g.set_supplementary_groups !== undefined,
  };
}

/** Of several blocks with one name, the first; the others are reported, as keepalived refuses them. */
export function unique<W extends Words>(
  all: readonly Got<Nested<string, W>>[] | undefined,
  report: Report,
): readonly Got<Nested<string, W>>[] {
  const first = new Map<string, Got<Nested<string, W>>>();
  for (const x of all ?? []) {
    const earlier = first.get(x.value.head);
    if (earlier)
      report.fault(
        'name-repeated',
        x.at,
        text(
          `the name '${x.value.head}' is taken in line ${earlier.at.line}; this block is dropped`,
          `名称 '${x.value.head}' 已在第 ${earlier.at.line} 行使用，丢弃本块`,
        ),
      );
    else first.set(x.value.head, x);
  }
  return [...first.values()];
}

type Of<K extends keyof RootValues> = NonNullable<RootValues[K]> extends readonly (infer T)[] ? T : never;
const NO_WEIGHT: Weight = { value: 0, reverse: false };

/** Reports what a block cannot do without, unless it was there and refused. */
function missing<W extends Words>(x: Got<Nested<string, W>>, block: string, word: string, report: Report): [] {
  const name = x.value.head;
  if (x.value.refused.has(word) && !report.lenient) return [];
  report.fault(
    'word-missing',
    x.at,
    text(`${block} ${name} has no ${word}; it is dropped`, `${block} ${name} 没有 ${word}，被丢弃`),
  );
  return [];
}

function trackScript(x: Of<'vrrp_script'>, report: Report): TrackScript[] {
  const { head: name, values: v } = x.value;
  if (!v.script) return missing(x, 'vrrp_script', 'script', report);
  const interval = v.interval?.value ?? seconds(1);
  const script: Script = { ...v.script.value, ...(v.user?.value ?? {}) };
  return [
    {
      name,
      script,
      interval,
      timeout: v.timeout?.value ?? interval,
      weight: v.weight?.value ?? NO_WEIGHT,
      rise: v.rise?.value ?? 1,
      fall: v.fall?.value ?? 1,
      initFail: v.init_fail !== undefined,
    },
  ];
}

function trackProcess(x: Of<'vrrp_track_process'>, report: Report): TrackProcess[] {
  const { head: name, values: v } = x.value;
  if (!v.process) return missing(x, 'vrrp_track_process', 'process', report);
  const [quorum, most] = [v.quorum?.value ?? 1, v.quorum_max?.value];
  // quorum_max below quorum is only meaningful as "must not run at all".
  const least = most === 0 && !v.quorum ? 0 : quorum;
  if (most !== undefined && most < least) {
    report.fault(
      'track-quorum-order',
      v.quorum_max!.at,
      text(
        `quorum_max ${most} is below quorum ${least}; it is left out`,
        `quorum_max ${most} 小于 quorum ${least}，忽略`,
      ),
    );
  }
  return [
    {
      name,
      process: v.process.value.process,
      parameters: v.process.value.parameters,
      parameterMatch: v.param_match?.value ?? 'exact',
      fullCommand: v.full_command !== undefined,
      weight: v.weight?.value ?? { value: 1, reverse: false },
      quorum: least,
      quorumMax: most !== undefined && most < least ? undefined : most,
      forkDelay: v.fork_delay?.value ?? v.delay?.value ?? us(0),
      terminateDelay: v.terminate_delay?.value ?? v.delay?.value ?? us(0),
    },
  ];
}

function trackFile(x: Of<'track_file'>, report: Report): TrackFile[] {
  const { head: name, values: v } = x.value;
  if (!v.file) return missing(x, 'track_file', 'file', report);
  return [
    {
      name,
      file: v.file.value,
      weight: v.weight?.value ?? { value: 1, reverse: false },
      ...maybe('init', v.init_file?.value),
    },
  ];
}

function syncGroup(
  x: Of<'vrrp_sync_group'>,
  instances: ReadonlySet<string>,
  known: Trackable,
  g: GlobalValues,
  report: Report,
): SyncGroup[] {
  const { head: name, values: v } = x.value;
  const members: string[] = [];
  for (const { value, at } of flat(v.group)) {
    if (!instances.has(value))
      report.fault(
        'group-member-unknown',
        at,
        text(`there is no vrrp_instance '${value}'; it is left out`, `没有 vrrp_instance '${value}'，忽略`),
      );
    else if (!members.includes(value)) members.push(value);
  }
  if (members.length === 0) {
    report.fault(
      'group-empty',
      x.at,
      text(`the sync group ${name} has no members; it is dropped`, `同步组 ${name} 没有成员，被丢弃`),
      text('group { VI_1 VI_2 }, one name on each line', 'group { VI_1 VI_2 }，每行一个名称'),
    );
    return [];
  }
  if (members.length === 1)
    report.warn(
      'group-single',
      x.at,
      text(
        `the sync group ${name} has one member: it keeps nothing together`,
        `同步组 ${name} 只有一个成员，没有可同步的对象`,
      ),
    );
  return [
    {
      name,
      members,
      tracks: buildTracks(v, known, report),
      trackingWeight: v.sync_group_tracking_weight !== undefined || v.global_tracking !== undefined,
      notify: {
        ...maybe('master', asScript(v.notify_master)),
        ...maybe('backup', asScript(v.notify_backup)),
        ...maybe('fault', asScript(v.notify_fault)),
        ...maybe('stop', asScript(v.notify_stop)),
        ...maybe('any', asScript(v.notify)),
      },
      notifyPriorityChanges: v.notify_priority_changes?.value ?? g.vrrp_notify_priority_changes?.value ?? false,
      smtpAlert: v.smtp_alert?.value ?? g.smtp_alert_vrrp?.value ?? g.smtp_alert?.value ?? false,
    },
  ];
}

function trackGroup(x: Of<'track_group'>, instances: ReadonlySet<string>, report: Report): TrackGroup {
  const { head: name, values: v } = x.value;
  const members = flat(v.group).flatMap(({ value, at }) => {
    if (instances.has(value)) return [value];
    report.fault(
      'group-member-unknown',
      at,
      text(`there is no vrrp_instance '${value}'; it is left out`, `没有 vrrp_instance '${value}'，忽略`),
    );
    return [];
  });
  return { name, instances: members };
}

function checkTrackGroups(r: RootValues, groups: readonly TrackGroup[], report: Report): void {
  const lines = [...flat(r.static_ipaddress), ...flat(r.static_routes), ...flat(r.static_rules)];
  for (const { value, at } of lines) {
    const t = value.tracking;
    if (t.kind === 'group' && !groups.some((g) => g.name === t.group))
      report.fault(
        'track-group-unknown',
        at,
        text(`there is no track_group '${t.group}'`, `没有 track_group '${t.group}'`),
      );
  }
}

function garpGroup(x: Of<'garp_group'>, g: GlobalValues, report: Report): GarpGroup {
  const v = x.value.values;
  const several = flat(v.interfaces).map((i) => i.value);
  if (v.interface && several.length > 0)
    report.fault(
      'garp-group-both',
      v.interface.keyword,
      text('a garp_group has interface or interfaces, not both', 'garp_group 只能有 interface 或 interfaces 之一'),
    );
  if (!v.interface && several.length === 0)
    report.fault('word-missing', x.at, text('this garp_group names no interface', '该 garp_group 没有指定接口'));
  return {
    interfaces: several.length > 0 ? several : v.interface ? [v.interface.value] : [],
    garpInterval: v.garp_interval?.value ?? g.vrrp_garp_interval?.value ?? us(0),
    gnaInterval: v.gna_interval?.value ?? g.vrrp_gna_interval?.value ?? us(0),
  };
}

function linkbeatOf(r: RootValues): VrrpConfig['linkbeat'] {
  const listed = flat(r.linkbeat_interfaces).map((x) => x.value);
  const own = (r.vrrp_instance ?? []).flatMap((x) => {
    const name = x.value.values.linkbeat_use_polling && x.value.values.interface?.value;
    return name && !listed.some((l) => l.interface === name) ? [{ interface: name, how: 'auto' as const }] : [];
  });
  return [...listed, ...own];
}

/** The FIFOs that VRRP writes: its own, and the common one. */
function fifosOf(g: GlobalValues, report: Report): Fifo[] {
  const paths = new Map<string, Place>();
  for (const f of [g.notify_fifo, g.vrrp_notify_fifo, g.lvs_notify_fifo]) {
    if (!f) continue;
    if (paths.has(f.value.path))
      report.fault(
        'fifo-repeated',
        f.at,
        text(`the FIFO ${f.value.path} is used twice`, `FIFO ${f.value.path} 被重复使用`),
      );
    paths.set(f.value.path, f.at);
  }
  return [...fifoOf(g.notify_fifo, g.notify_fifo_script), ...fifoOf(g.vrrp_notify_fifo, g.vrrp_notify_fifo_script)];
}
