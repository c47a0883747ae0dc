import { err, type Family, ok, type Result } from '../../base/index.ts';
import { Attributes } from './attributes.ts';
import { AF, familyFromAf, fits } from './family.ts';
import type { NetlinkError } from './message.ts';
import { NativeView } from './native.ts';
import type { Rule, RuleAction } from './types.ts';
import { NetlinkWriter } from './writer.ts';

const HEAD = 12; // struct fib_rule_hdr: u8 family, destination length, source length, tos, table, two reserved, action; u32 flags
const FIB_RULE_INVERT = 2;
const FRA = {
  to: 1,
  from: 2,
  iif: 3,
  goto: 4,
  priority: 6,
  fwmark: 10,
  flow: 11,
  tunnelId: 12,
  suppressGroup: 13,
  suppressPrefixLength: 14,
  table: 15,
  fwmask: 16,
  oif: 17,
  l3mdev: 19,
  uidRange: 20,
  protocol: 21,
  ipProtocol: 22,
  sourcePorts: 23,
  destinationPorts: 24,
} as const;
const ACTION = { table: 1, goto: 2, nop: 3, blackhole: 6, unreachable: 7, prohibit: 8 } as const;
const ALL = 0xffff_ffff;

/** Payload of RTM_NEWRULE and RTM_DELRULE. */
export function decodeRule(b: Uint8Array): Result<Rule, NetlinkError> {
  if (b.length < HEAD) return err({ kind: 'length', have: b.length, need: HEAD });
  const v = new NativeView(b);
  const family = familyFromAf(v.u8(0));
  if (family === undefined) return err({ kind: 'family', have: v.u8(0) });
  const [toLength, fromLength, tos] = [v.u8(1), v.u8(2), v.u8(3)];
  for (const have of [toLength, fromLength])
    if (!fits(have, family)) return err({ kind: 'range', field: 'prefix length', have });

  const a = new Attributes(b.subarray(HEAD));
  const to = a.ip(FRA.to, family);
  const from = a.ip(FRA.from, family);
  const [iif, oif] = [a.text(FRA.iif), a.text(FRA.oif)];
  const mask = a.u32(FRA.fwmask);
  const mark = a.u32(FRA.fwmark) ?? (mark0(mask) ? 0 : undefined);
  const realms = a.u32(FRA.flow);
  const tunnelId = a.be64(FRA.tunnelId);
  const [group, prefixLength] = [a.u32(FRA.suppressGroup), a.u32(FRA.suppressPrefixLength)];
  const uids = a.u32s(FRA.uidRange, 2);
  const [sports, dports] = [a.u16pair(FRA.sourcePorts), a.u16pair(FRA.destinationPorts)];
  const l3mdev = a.u8(FRA.l3mdev) ?? 0;
  const ipProtocol = a.u8(FRA.ipProtocol);
  const protocol = a.u8(FRA.protocol) ?? 0;
  const priority = a.u32(FRA.priority) ?? 0; // the kernel leaves out the 0 of the local table's rule
  const action = actionOf(v.u8(7), a.u32(FRA.table) ?? v.u8(4), a.u32(FRA.goto) ?? 0);
  if (a.flaw !== undefined) return err({ kind: 'attribute', type: a.flaw });
  if (action === undefined) return err({ kind: 'range', field: 'rule action', have: v.u8(7) });
  return ok({
    family,
    priority,
    action,
    ...((v.u32(8) & FIB_RULE_INVERT) !== 0 && { invert: true }),
    ...(from !== undefined && { from: { address: from, length: fromLength } }),
    ...(to !== undefined && { to: { address: to, length: toLength } }),
    ...(tos !== 0 && { tos }),
    ...(mark !== undefined && { fwmark: mark }),
    ...(mark !== undefined && mask !== undefined && mask !== ALL && { fwmask: mask }),
    ...(iif !== undefined && { iif }),
    ...(oif !== undefined && { oif }),
    ...(realms !== undefined && { realms }),
    // Told of every rule; all ones = none.
    ...(prefixLength !== undefined && prefixLength !== ALL && { suppressPrefixLength: prefixLength }),
    ...(group !== undefined && group !== ALL && { suppressGroup: group }),
    ...(tunnelId !== undefined && { tunnelId }),
    ...(uids !== undefined && { uidRange: { from: uids[0] as number, to: uids[1] as number } }),
    ...(l3mdev !== 0 && { l3mdev: true }),
    ...(ipProtocol !== undefined && { ipProtocol }),
    ...(sports !== undefined && { sourcePorts: { from: sports[0], to: sports[1] } }),
    ...(dports !== undefined && { destinationPorts: { from: dports[0], to: dports[1] } }),
    ...(protocol !== 0 && { protocol }),
  });
}
/** A mark of 0 is left out by the kernel, its mask is not. */
const mark0 = (mask: number | undefined): boolean => mask !== undefined && mask !== 0;

function actionOf(n: number, table: number, priority: number): RuleAction | undefined {
  const name = (Object.keys(ACTION) as (keyof typeof ACTION)[]).find((k) => ACTION[k] === n);
  if (name === undefined) return undefined;
  return name === 'table' ? { do: name, table } : name === 'goto' ? { do: name, priority } : { do: name };
}

/** Payload of RTM_NEWRULE and RTM_DELRULE. */
export function writeRule(w: NetlinkWriter, r: Rule): void {
  const { action } = r;
  const table = action.do === 'table' ? action.table : 0;
  w.u8(AF[r.family])
    .u8(r.to?.length ?? 0)
    .u8(r.from?.length ?? 0)
    .u8(r.tos ?? 0);
  w.u8(table <= 255 ? table : 0)
    .u8(0)
    .u8(0)
    .u8(ACTION[action.do]);
  w.u32(r.invert ? FIB_RULE_INVERT : 0);
  w.attrU32(FRA.priority, r.priority);
  if (action.do === 'table' && !r.l3mdev) w.attrU32(FRA.table, table);
  if (action.do === 'goto') w.attrU32(FRA.goto, action.priority);
  if (r.to !== undefined) w.attrIp(FRA.to, r.to.address);
  if (r.from !== undefined) w.attrIp(FRA.from, r.from.address);
  if (r.iif !== undefined) w.attrText(FRA.iif, r.iif);
  if (r.oif !== undefined) w.attrText(FRA.oif, r.oif);
  if (r.fwmark !== undefined) w.attrU32(FRA.fwmark, r.fwmark).attrU32(FRA.fwmask, r.fwmask ?? ALL);
  if (r.realms !== undefined) w.attrU32(FRA.flow, r.realms);
  if (r.tunnelId !== undefined) w.attrBe64(FRA.tunnelId, BigInt(r.tunnelId));
  if (r.suppressPrefixLength !== undefined) w.attrU32(FRA.suppressPrefixLength, r.suppressPrefixLength);
  if (r.suppressGroup !== undefined) w.attrU32(FRA.suppressGroup, r.suppressGroup);
  if (r.l3mdev) w.attrU8(FRA.l3mdev, 1);
  if (r.uidRange !== undefined) w.attrU32s(FRA.uidRange, [r.uidRange.from, r.uidRange.to]);
  if (r.protocol !== undefined) w.attrU8(FRA.protocol, r.protocol);
  if (r.ipProtocol !== undefined) w.attrU8(FRA.ipProtocol, r.ipProtocol);
  if (r.sourcePorts !== undefined) w.attrU16pair(FRA.sourcePorts, r.sourcePorts.from, r.sourcePorts.to);
  if (r.destinationPorts !== undefined)
    w.attrU16pair(FRA.destinationPorts, r.destinationPorts.from, r.destinationPorts.to);
}
export function encodeRule(r: Rule): Uint8Array {
  const w = new NetlinkWriter();
  writeRule(w, r);
  return w.done();
}
/** Payload of a dump request. */
export function writeRuleDump(w: NetlinkWriter, family: Family): void {
  w.u8(AF[family]).u8(0).u16(0).u32(0).u32(0);
}
