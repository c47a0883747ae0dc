/** Whether this process may do what VRRP needs, asked before anything is touched. */
import { readFileSync } from 'node:fs';
import { type Text, text } from '../../base/index.ts';

const NEEDED = [
  ['CAP_NET_ADMIN', 12],
  ['CAP_NET_RAW', 13],
] as const;

/** The names of the capabilities that are not in the effective set, given the text of /proc/self/status. */
export function missingCapabilities(status: string): readonly string[] {
  const set = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  return NEEDED.filter(([, bit]) => (set & (1n << BigInt(bit))) === 0n).map(([name]) => name);
}
/** Undefined: it may. */
export function permissionProblem(): Text | undefined {
  const missing = missingCapabilities(readFileSync('/proc/self/status', 'utf8')).join(', ');
  return missing === ''
    ? undefined
    : text(
        `needs root, or the capabilities ${missing}: addresses and raw sockets are not permitted to this user`,
        `需要 root 权限或 ${missing} 能力：当前用户不能设置地址和使用原始套接字`,
      );
}
