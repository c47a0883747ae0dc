/** A file that has changed is taken over while the mirror runs (`adjust`): settings, and volumes that come and go. */
import { type Text, text } from '../../base/index.ts';
import type { MirrorConfig, VolumeConfig } from '../config.ts';
import type { MirrorAnswer } from '../status.ts';
import type { Answer } from './asking.ts';
import { type Attached, attach, needsNoPeer } from './disks/attach.ts';
import type { Parts } from './parts.ts';
import { done, refused } from './reasons.ts';
import type { Context, Devices } from './types.ts';
import type { Volume } from './volume.ts';

export type Adjusted = {
  readonly config: MirrorConfig;
  readonly secret: Uint8Array | undefined;
  /** Of volumes that are new. */
  readonly devices: readonly Devices[];
  /** Both sides must have the same before they can be connected again. */
  readonly reconnects: boolean;
  /** What changes, for the log. */
  readonly words: Text;
};
/** What holds the volumes themselves. */
type All = {
  readonly add: (v: VolumeConfig, devices: readonly Devices[]) => Volume;
  readonly remove: (v: Volume) => void;
};
/** A volume that comes; without a disk where it has none. */
type Read = { readonly config: VolumeConfig; readonly attached: Attached | undefined };

export class Adoption {
  readonly #p: Parts;
  readonly #all: All;
  #busy = false;
  #removing = false;

  constructor(p: Parts, all: All) {
    this.#p = p;
    this.#all = all;
  }

  /** Volumes are going: no role changes until they are gone, or attached again. */
  get removing(): boolean {
    return this.#removing;
  }
  /** All of it, or nothing: disks that come are read first, those that go are detached next, and attached again if they stay. */
  begin(a: Adjusted, answer: Answer): void {
    if (this.#busy || this.#p.link.negotiating) {
      answer(NOT_NOW);
      return;
    }
    const { volumes } = this.#p;
    const come = a.config.volumes.filter((v) => !volumes.some((one) => one.number === v.number));
    const go = volumes.filter((v) => !a.config.volumes.some((one) => one.number === v.number));
    if (come.length + go.length === 0) {
      this.#begin(a, [], [], answer);
      return;
    }
    this.#busy = true;
    const end = (how: MirrorAnswer): void => {
      this.#busy = false;
      answer(how);
    };
    readDisks(this.#p.c, a, come, (read) => {
      if ('failed' in read) return end({ ok: false, code: 'no-local-disk', text: read.failed });
      // Nobody else may be counting the volumes just now.
      this.#p.agreements.afterwards(() => {
        const { roles, link } = this.#p;
        if (roles.changing || link.negotiating) return end(NOT_NOW);
        if (go.length === 0) this.#begin(a, read.disks, go, end);
        else this.#remove(a, read.disks, go, end);
      });
    });
  }
  /** A demotion waits for the end of it, a promotion is to be asked for again. */
  #remove(a: Adjusted, come: readonly Read[], go: readonly Volume[], answer: Answer): void {
    const { agreements, disks, diskTimeouts, link, roles } = this.#p;
    const primary = go.find((v) => v.primary);
    if (primary !== undefined) {
      answer(inUse(primary));
      return;
    }
    this.#removing = true;
    const had = go.filter((v) => v.backing !== undefined);
    const end = (how: MirrorAnswer): void => {
      this.#removing = false;
      roles.idle();
      answer(how);
    };
    const finish = (how: MirrorAnswer): void => {
      if (how.ok) {
        end(how);
        return;
      }
      // One that hangs went by itself.
      const back = had.filter((v) => diskTimeouts.late(v) === 0);
      disks.attach(back, (failed) => end(failed === undefined ? how : staysDetached(how, failed)));
    };
    this.#detach(go, (refusal) => {
      if (refusal !== undefined) return finish(refusal);
      agreements.afterwards(() => {
        // An operator may have attached one again.
        if (link.negotiating || go.some((v) => v.disk !== 'Diskless')) finish(NOT_NOW);
        else this.#begin(a, come, go, finish);
      });
    });
  }
  #detach(volumes: readonly Volume[], then: (refusal: MirrorAnswer | undefined) => void): void {
    const [v, ...rest] = volumes;
    if (v === undefined) {
      then(undefined);
      return;
    }
    const next = (): void => {
      const late = this.#p.diskTimeouts.late(v);
      if (late > 0) then(refused('device-in-use', ...lateWords(v, late)));
      else this.#detach(rest, then);
    };
    if (v.backing === undefined) next();
    else this.#p.disks.detach(v, false, (how) => (how === 'detached' ? next() : then(inUse(v))));
  }
  #begin(a: Adjusted, come: readonly Read[], go: readonly Volume[], answer: Answer): void {
    const { link, leaving, c, joining, diskTimeouts, disks, settings } = this.#p;
    const take = (): void => {
      const before = this.#p.config;
      c.reason('mirror.adjusted', undefined, a.words);
      link.secret = a.secret;
      for (const v of go) {
        joining.farewell(v);
        diskTimeouts.forget(v);
        this.#all.remove(v);
      }
      settings.take(a.config);
      for (const { config, attached } of come) {
        const v = this.#all.add(config, a.devices);
        v.connection = link.established ? 'WFReportParams' : link.state;
        diskTimeouts.watch(v);
        if (attached === undefined) joining.tell(v);
        else disks.take(v, attached);
      }
      if (link.established) settings.tell(before, a.config);
    };
    if (!a.reconnects || link.state === 'StandAlone') {
      take();
      answer(done('taken over', '已采用'));
      return;
    }
    leaving.disconnect(false, (left) => {
      if (!left.ok) return answer(left);
      take();
      link.seek();
      answer(done('taken over; connecting', '已采用；正在连接'));
    });
  }
}
/** One after the other; none is in use before all are read. */
function readDisks(
  c: Context,
  a: Adjusted,
  come: readonly VolumeConfig[],
  then: (r: { readonly disks: readonly Read[] } | { readonly failed: Text }) => void,
  disks: readonly Read[] = [],
): void {
  const [config, ...rest] = come;
  if (config === undefined) {
    then({ disks });
    return;
  }
  const devices = a.devices.find((d) => d.volume === config.number);
  if (devices === undefined) {
    readDisks(c, a, rest, then, [...disks, { config, attached: undefined }]);
    return;
  }
  attach(c, devices, needsNoPeer(a.config), (r) => {
    if (r.ok) {
      readDisks(c, a, rest, then, [...disks, { config, attached: r.value }]);
      return;
    }
    const { en, zh } = r.error.text;
    then({ failed: text(`volume ${config.number}: ${en}`, `卷 ${config.number}：${zh}`) });
  });
}
const NOT_NOW = refused(
  'in-transient',
  'the two sides are just connecting, or another change is under way: nothing is changed, ask again',
  '两端正在建立连接，或另一更改正在进行：未作更改，请重试',
);
const staysDetached = (how: MirrorAnswer, failed: Text): MirrorAnswer => ({
  ...how,
  text: text(
    `${how.text.en}; what was detached could not be attached again: ${failed.en}`,
    `${how.text.zh}；已卸离的磁盘无法重新挂接：${failed.zh}`,
  ),
});
const inUse = (v: Volume): MirrorAnswer =>
  refused(
    'device-in-use',
    `volume ${v.number} is in use, here or at a peer that has no other good data: it stays`,
    `卷 ${v.number} 正在被使用（本机，或对端没有其他完好数据）：予以保留`,
  );
const lateWords = (v: Volume, late: number): readonly [en: string, zh: string] => [
  `${late} requests are still at the disk of volume ${v.number}: adjust when they are over`,
  `仍有 ${late} 个请求在卷 ${v.number} 的磁盘中：请待其结束后重试`,
];
