/** What a lab consists of, as tests write it and as `npm run lab -- up FILE` reads it (JSON). Checked by definition.ts. */

export type LabDefinition = {
  /** Ethernet switches. A plain name floods multicast to every port, as a cheap switch does. */
  readonly switches: readonly (string | SwitchDefinition)[];
  /** Key: the host's name: letters, digits and `-`. */
  readonly hosts: Readonly<Record<string, HostDefinition>>;
};

export type SwitchDefinition = {
  readonly name: string;
  /** IGMP and MLD snooping: the switch sends a group only to ports that asked for it. Off unless said. */
  readonly multicastSnooping?: boolean;
};

export type HostDefinition = {
  /** Key: the interface's name inside the host, at most 15 characters: `ens33`. */
  readonly links?: Readonly<Record<string, LinkDefinition>>;
  /** What the host's `hostname` says; its name unless said. */
  readonly hostname?: string;
  /** Files planted at every power on: absolute path -> text. Only below the folders that are the host's own: `privateFolders`. */
  readonly files?: Readonly<Record<string, string>>;
  /** As `ip route add` takes them: `default via 192.168.1.1`, `-6 default via fe80::1 dev ens33`. */
  readonly routes?: readonly string[];
  /** `net.ipv4.ip_forward` -> `1`. Those of the network namespace only; set before the links exist. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Programs started in the background at every power on, each as its argument list. */
  readonly start?: readonly (readonly string[])[];
};

export type LinkDefinition = {
  /** The switch it is plugged into. */
  readonly to: string;
  /** With prefix length: `192.168.1.10/24`, `2001:db8::10/64`. */
  readonly addresses?: readonly string[];
  /** `02:00:00:00:00:0a`. Unless said: 02:4c:00, then host and link by their number, the same in every run. */
  readonly mac?: string;
  /** In bytes; 1500 unless said. */
  readonly mtu?: number;
};

/** As the host sees it: `in` is what it receives, `out` what it sends. */
export type Direction = 'in' | 'out' | 'both';

export type Slowness = {
  /** Added to every frame. */
  readonly delayMs?: number;
  /** Added on top, uniform in 0..jitterMs for each frame; frames may overtake each other. */
  readonly jitterMs?: number;
  /** Share of frames lost, 0..1. */
  readonly loss?: number;
  /** Kilobits (1000 bits) a second. */
  readonly rateKbit?: number;
  /** `both` unless said; each direction has its own queue. */
  readonly direction?: Direction;
};

/** Every host has its own copy of these: it reads what the machine has there, and what it writes is gone with its power. `/run` starts empty. */
export const privateFolders: readonly string[] = ['/etc', '/var', '/tmp', '/srv', '/opt', '/root', '/run'];
