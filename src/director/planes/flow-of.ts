/** Whether a flow that another director tells of can be a service's: what it says is looked at like any input. */
import { familyOf, type IpAddress, ipBytes } from '../../base/index.ts';
import type { FlowException, ServiceMatch } from '../types.ts';

function isWithin(a: IpAddress, r: { readonly from: IpAddress; readonly to: IpAddress }): boolean {
  if (a === r.from) return true;
  const [at, from, to] = [ipBytes(a), ipBytes(r.from), ipBytes(r.to)];
  return at.length === from.length && Buffer.compare(at, from) >= 0 && Buffer.compare(at, to) <= 0;
}
/** Its addresses and port are those that the service takes; services by mark are not known by them. */
export function isFlowOf(match: ServiceMatch, f: FlowException): boolean {
  if (match.by !== 'address' || familyOf(f.client) !== familyOf(f.address)) return false;
  if (match.port !== 0 && match.port !== f.port) return false;
  return match.ranges.some((r) => isWithin(f.address, r));
}
