/**
 * tc programs on kernels before 6.6, which have no TCX links: a clsact queueing discipline with one filter for each program.
 * The filter stays by itself when the process ends, and setting it again replaces the program without a gap. A filter of
 * another name is another's: it is neither replaced nor removed, even in our place.
 */
import { err, ok, type Result, type Text, text } from '../../../base/index.ts';
import {
  decodeFilter,
  FILTER_INGRESS,
  type FilterPlace,
  NLM_F,
  RTM,
  writeClsact,
  writeFilter,
  writeFilterPlace,
} from '../../../wire/index.ts';
import type { HostError, NetlinkChannel } from '../../index.ts';
import { errnoName } from '../addon.ts';

/** In the order in which they see a frame, each at a priority of its own: what leaves a tunnel here is not balanced again. */
const PROGRAMS = ['tc_director', 'tc_decap'];
const FIRST_PRIORITY = 0x4f4c;
const EVERY_FRAME = 3;
const HANDLE = 1;
const KIND = 'bpf';
const [EEXIST, ENOENT, EINVAL] = [17, 2, 22];

const nameOf = (program: string): string => `holdfast-${program}`;
function placeOf(program: string, ifindex: number): FilterPlace {
  const at = PROGRAMS.indexOf(program);
  if (at < 0) throw new Error(`bug: ${program} has no place among the filters`);
  const priority = FIRST_PRIORITY + at;
  return { ifindex, parent: FILTER_INGRESS, priority, protocol: EVERY_FRAME, handle: HANDLE };
}

/** The name of the filter in a program's place: ours or another's. Undefined: none is there. */
function nameInPlace(channel: NetlinkChannel, p: FilterPlace): string | undefined {
  const doing = text('look for the tc filter', '查找 tc 过滤器');
  const asked = channel.ask({ type: RTM.getFilter, flags: 0, write: (w) => writeFilterPlace(w, p, KIND) }, doing);
  if (!asked.ok) return undefined;
  const [first] = asked.value;
  const filter = first && decodeFilter(first.payload);
  return filter?.ok ? (filter.value.name ?? filter.value.kind) : undefined;
}

/** `descriptor`: of the program. */
export function setFilter(
  channel: NetlinkChannel,
  ifindex: number,
  program: string,
  descriptor: number,
): Result<void, HostError> {
  const place = placeOf(program, ifindex);
  const name = nameOf(program);
  const there = nameInPlace(channel, place);
  if (there !== undefined && there !== name) return err({ code: 'EBUSY', doing: taken(program, place, there) });
  const [qdisc, filter] = channel.transact([
    { type: RTM.newQueueing, flags: NLM_F.create | NLM_F.excl, write: (w) => writeClsact(w, ifindex) },
    {
      type: RTM.newFilter,
      flags: NLM_F.create | NLM_F.replace,
      write: (w) => writeFilter(w, { ...place, kind: KIND, name, direct: true, descriptor }),
    },
  ]);
  const errno = filter?.errno ?? 0;
  if (errno === 0) return ok(undefined);
  // Without the queueing discipline the filter could not be: that is the cause then.
  const first = qdisc?.errno === undefined || qdisc.errno === EEXIST ? 0 : qdisc.errno;
  const said = (first ? qdisc?.message : filter?.message) ?? '';
  const why = said === '' ? '' : `: ${said}`;
  const doing = text(`attach ${program} by clsact${why}`, `通过 clsact 挂载 ${program}${why}`);
  return err({ code: errnoName(-(first || errno)), doing });
}
const taken = (program: string, { priority }: FilterPlace, by: string): Text =>
  text(
    `attach ${program} by clsact: another program's filter (${by}) has priority ${priority} there`,
    `通过 clsact 挂载 ${program}：优先级 ${priority} 已被其他程序的过滤器（${by}）占用`,
  );

/** Of this process or of an earlier one. */
export const hasFilter = (channel: NetlinkChannel, ifindex: number, program: string): boolean =>
  nameInPlace(channel, placeOf(program, ifindex)) === nameOf(program);

/** The queueing discipline stays: others may use it, and it does nothing by itself. */
export function removeFilter(channel: NetlinkChannel, ifindex: number, program: string): Result<void, HostError> {
  if (!hasFilter(channel, ifindex, program)) return ok(undefined);
  const place = placeOf(program, ifindex);
  const [r] = channel.transact([{ type: RTM.delFilter, flags: 0, write: (w) => writeFilterPlace(w, place, KIND) }]);
  const errno = r?.errno ?? 0;
  if (errno === 0 || errno === ENOENT || errno === EINVAL) return ok(undefined);
  return err({
    code: errnoName(-errno),
    doing: text(`remove the tc filter of ${program}`, `移除 ${program} 的 tc 过滤器`),
  });
}
