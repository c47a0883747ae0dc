import { err, ok, type Result, text } from '../../../base/index.ts';
import type { HostError, Netlink, NetlinkChannel } from '../../../host/index.ts';
import { decodeGenericFamily, GENL_ID_CTRL, IPVS_FAMILY, writeFamilyRequest } from '../../../wire/index.ts';

export type IpvsFamily = { readonly channel: NetlinkChannel; readonly id: number };

/** Finds the family in this network namespace. Asking for it by name makes the kernel load the module where it can. */
export function openFamily(netlink: Netlink): Result<IpvsFamily, HostError> {
  const opened = netlink.open('generic');
  if (!opened.ok) return opened;
  const channel = opened.value;
  const doing = text(
    'find IPVS in this kernel (module ip_vs, which modprobe or the kernel itself would load)',
    '在内核中查找 IPVS（模块 ip_vs，可由 modprobe 或内核自行加载）',
  );
  const answer = channel.ask({ type: GENL_ID_CTRL, flags: 0, write: (w) => writeFamilyRequest(w, IPVS_FAMILY) }, doing);
  const family = answer.ok ? decodeGenericFamily(answer.value[0]?.payload ?? new Uint8Array(0)) : answer;
  if (family.ok) return ok({ channel, id: family.value.id });
  channel.close();
  return err('code' in family.error ? family.error : { code: 'EBADMSG', doing });
}
