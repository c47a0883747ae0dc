/** Virtual routers and their trackers, as the supervisor tells. */
import { formatPrefix, type Text, text, unreachable } from '../../base/index.ts';
import { BfdDriver } from '../../bfd/index.ts';
import type { Host, Log } from '../../host/index.ts';
import { linuxHost, loadAddon, openNetwork } from '../../host/linux/index.ts';
import {
  describeBecause,
  type LastWill,
  type Notification,
  type PolledNetwork,
  polledNetwork,
  startTrackers,
  type Trackers,
  type TrackReport,
  Vrrp,
  type VrrpConfig,
} from '../../vrrp/index.ts';
import { enterNamespace, failureText } from '../handover/namespace.ts';
import { resign } from '../handover/will.ts';
import type { BeatSnapshot, FromBeat, ToBeat } from '../messages.ts';
import { schedule, uptime } from './process.ts';
import { RemotePrograms } from './programs.ts';
import { type Counters, counters, instanceStatuses, since } from './snapshot.ts';

type Configure = Extract<ToBeat, { kind: 'configure' }>;
/** What runs from the first configuration on. */
type Works = {
  readonly host: Host;
  readonly network: PolledNetwork;
  readonly trackers: Trackers;
  readonly vrrp: Vrrp;
  readonly bfd: BfdDriver;
  readonly realtimePriority: number | undefined;
  config: VrrpConfig;
};

export class Beat {
  readonly #send: (m: FromBeat, sent?: () => void) => void;
  readonly #end: () => void;
  readonly #programs: RemotePrograms;
  #works: Works | undefined;
  #will: LastWill = { adverts: [], commands: [] };
  #alone = false;
  /** Counters as they were when they were last set to zero: the routers only ever count up. */
  #cleared: Counters = {};

  constructor(send: (m: FromBeat, sent?: () => void) => void, end: () => void) {
    this.#send = send;
    this.#end = end;
    this.#programs = new RemotePrograms(send);
  }

  receive(m: ToBeat): void {
    switch (m.kind) {
      case 'configure':
        this.#configure(m);
        break;
      case 'stop':
        this.#stop(m.keep);
        break;
      case 'exited':
        this.#programs.ended(m.run, m.exit);
        break;
      case 'snapshot':
        this.#snapshot(m.question);
        break;
      case 'clear-statistics':
        this.#cleared = this.#counters();
        break;
      default:
        unreachable(m);
    }
  }
  /** The supervisor died: nobody would execute the will, so it is done while this process still can. */
  abandoned(): void {
    this.#alone = true;
    this.#works?.vrrp.stop();
    this.#end();
  }

  // ---------------------------------------------------------------------------------------------- configuration

  #configure(m: Configure): void {
    if (this.#works) this.#reconfigure(this.#works, m);
    else if (!this.#begin(m)) return;
    this.#send({ kind: 'in-force', generation: m.generation });
  }
  #reconfigure(works: Works, m: Configure): void {
    works.config = m.config;
    works.network.reload(m.config);
    // Trackers first, so that new ones of files and processes are known when the routers look.
    works.trackers.reload(m.config);
    this.#startSessions(works.bfd, m, this.#log);
    works.vrrp.reload(m.config);
  }
  /** False: it cannot work at all; the reason is logged and the process ends. */
  #begin(m: Configure): boolean {
    const log = this.#log;
    const fatal = (words: Text): false => {
      log.write({ level: 'error', code: 'beat.host', text: words });
      process.exitCode = 1;
      setImmediate(() => process.exit(1));
      return false;
    };
    if (m.umask !== undefined) process.umask(m.umask);
    if (m.process.name !== undefined) process.title = m.process.name;
    const addon = loadAddon();
    if (!addon.ok) return fatal(failureText(addon.error));
    if (m.namespace !== undefined) {
      const entered = enterNamespace(addon.value, m.namespace);
      if (!entered.ok) return fatal(failureText(entered.error));
    }
    const opened = openNetwork(addon.value, log);
    if (!opened.ok) return fatal(failureText(opened.error));
    const realtimePriority = schedule(addon.value, m.process, log);
    const host = linuxHost({ addon: addon.value, log, network: opened.value });
    const network = polledNetwork(opened.value, m.config, host);
    const options = {
      leaseAddresses: m.leases,
      adopt: new Set<string>(),
      uptime: uptime(),
      notify: (n: Notification) => this.#notify(n),
      willChanged: (will: LastWill) => {
        this.#will = will;
        this.#send({ kind: 'will', will });
      },
    };
    const vrrp = new Vrrp(m.config, { ...host, network }, options);
    const trackers = startTrackers(m.config, {
      host,
      run: (script, exited) => this.#programs.run(script, exited),
      report: (r) => this.#tracked(vrrp, r),
    });
    const bfd = new BfdDriver(host, (instance, up) => {
      if (instance.tells.vrrp) vrrp.setTracker('bfd', instance.name, up ? 'up' : 'down');
      if (instance.tells.checkers) this.#send({ kind: 'bfd', name: instance.name, up });
    });
    this.#works = { host, network, trackers, vrrp, bfd, realtimePriority, config: m.config };
    this.#startSessions(bfd, m, log);
    if (m.logAddresses) followAddresses(host);
    vrrp.start();
    return true;
  }
  #startSessions(bfd: BfdDriver, m: Configure, log: Log): void {
    for (const [name, error] of bfd.apply(m.bfd)) {
      const why = failureText(error);
      const words = text(`BFD session ${name}: ${why.en}`, `BFD 会话 ${name}：${why.zh}`);
      log.write({ level: 'error', code: 'bfd.refused', text: words });
    }
  }
  #tracked(vrrp: Vrrp, r: TrackReport): void {
    const down = r.kind !== 'file' && !r.good;
    this.#log.write({
      level: down ? 'warning' : 'info',
      code: `track.${r.kind}`,
      text: text(`${r.kind} ${r.name}: ${r.because.en}`, `${KIND_ZH[r.kind]} ${r.name}：${r.because.zh}`),
    });
    vrrp.setTracker(r.kind, r.name, r.kind === 'file' ? { number: r.value } : r.good ? 'up' : 'down');
  }

  // ---------------------------------------------------------------------------------------------- the rest of life

  #stop(keep: boolean): void {
    const works = this.#works;
    works?.trackers.close();
    works?.bfd.stop();
    if (keep && works) resign(this.#will.adverts, works.host);
    else works?.vrrp.stop();
    this.#send({ kind: 'stopped' }, this.#end);
  }
  #snapshot(question: number): void {
    const works = this.#works;
    const status = works?.vrrp.status() ?? { instances: [], groups: [] };
    const stalls = status.instances.map((i) => i.stats.longestStall / 1000);
    const snapshot: BeatSnapshot = {
      instances: works ? instanceStatuses(works.config, status, works.network.addresses(), works.host.clock) : [],
      trackers: works?.trackers.status() ?? [],
      realtimePriority: works?.realtimePriority,
      worstStallMs: Math.round(Math.max(0, ...stalls)),
      statistics: since(this.#cleared, this.#counters()),
    };
    this.#send({ kind: 'snapshot', question, snapshot });
  }
  #counters(): Counters {
    const status = this.#works?.vrrp.status();
    return Object.fromEntries((status?.instances ?? []).map((i) => [i.name, counters(i.stats)]));
  }
  #notify(n: Notification): void {
    this.#send({ kind: 'notify', notification: n, because: n.because && describeBecause(n.because) });
  }
  readonly #log: Log = {
    write: (event) => {
      // Without a supervisor the console that was inherited is the last that listens.
      if (this.#alone) process.stderr.write(`${event.level}: ${event.text.en}\n`);
      else this.#send({ kind: 'log', event });
    },
  };
}

const KIND_ZH = { script: '脚本', process: '进程', file: '文件' } as const;

/** `-a`: every address that comes or goes. */
function followAddresses(host: Pick<Host, 'network' | 'log'>): void {
  host.network.watch((c) => {
    if (c.kind !== 'address' && c.kind !== 'address-gone') return;
    const name = host.network.linkByIndex(c.address.ifindex)?.name ?? `#${c.address.ifindex}`;
    const what = formatPrefix(c.address.prefix);
    const came = c.kind === 'address';
    const words = came
      ? text(`address ${what} was put on ${name}`, `地址 ${what} 已加到 ${name}`)
      : text(`address ${what} was taken from ${name}`, `地址 ${what} 已从 ${name} 移除`);
    host.log.write({ level: 'notice', code: 'address.changed', text: words });
  });
}
