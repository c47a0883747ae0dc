import { ok, type Result } from '../../../base/index.ts';
import type { Bpf, HostError, Netlink } from '../../index.ts';
import { loadBpfAddon } from './addon.ts';
import { LinuxBpf } from './bpf.ts';

/** The port on Linux. */
export function linuxBpf(netlink: Netlink): Result<Bpf, HostError> {
  const addon = loadBpfAddon();
  return addon.ok ? ok(new LinuxBpf(addon.value, netlink)) : addon;
}
