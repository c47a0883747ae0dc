/** What a guest consists of. It has this machine's files (what it writes there is gone with its power) and a Debian kernel. */
import type { VmSwitch } from './switch.ts';

export type VmDefinition = {
  readonly hostname?: string;
  /** Loaded at every power on, in this order. The kernel finds all its others by itself when they are asked for. */
  readonly modules?: readonly string[];
  /** `eth0`, `eth1`, ... in this order. */
  readonly nics?: readonly VmNic[];
  readonly shares?: readonly VmShare[];
  /** `/dev/vda`, `/dev/vdb`, ... in this order: files of this machine, as whole disks that outlive a power cut. */
  readonly disks?: readonly string[];
  /** In MiB; 768 unless said. */
  readonly memory?: number;
  /** Files planted at every power on: absolute path -> text. */
  readonly files?: Readonly<Record<string, string>>;
};

export type VmNic = {
  /**
   * A switch between guests; `user`: the machine is 10.0.2.2 and the guest 10.0.2.15; or a tap device that is there already,
   * in the network namespace of this process.
   */
  readonly to: VmSwitch | 'user' | { readonly tap: string };
  /** With prefix length: `10.7.0.1/24`. */
  readonly addresses?: readonly string[];
  /** Unless said: 52:54:00, then a number that is unique in this process. */
  readonly mac?: string;
};

/** A folder of this machine in the guest, seen by both at once. */
export type VmShare = { readonly host: string; readonly guest: string; readonly writable?: boolean };
