/** A drbd.conf as it is written: sections with the values that were typed and their places. Nothing is inherited yet. */
import type { IpAddress, Place } from '../../base/index.ts';
import type { OptionRow } from './options.ts';
import type { Word } from './tree.ts';

/** Numbers are converted: times to milliseconds, sizes and rates to bytes, the rest as counted. */
export type OptionValue = number | boolean | string;
export type Given = {
  readonly row: OptionRow;
  readonly value: OptionValue;
  /** As it was typed. */
  readonly typed: string;
  readonly at: Place;
};
export type OptionSet = ReadonlyMap<string, Given>;
export type OptionSections = {
  readonly options: Map<string, Given>;
  readonly disk: Map<string, Given>;
  readonly net: Map<string, Given>;
  readonly startup: Map<string, Given>;
  readonly handlers: Map<string, Given>;
  /** A section of the proxy stands here. */
  proxy?: Place;
};
export const noSections = (): OptionSections => ({
  options: new Map(),
  disk: new Map(),
  net: new Map(),
  startup: new Map(),
  handlers: new Map(),
});

export type At<T> = { readonly value: T; readonly at: Place };
export type AddressGiven = {
  readonly family: 'ipv4' | 'ipv6' | 'ssocks' | 'sdp' | 'sci';
  readonly address: IpAddress;
  /** Undefined: `host A address X` of DRBD 9, with `port P` behind it. */
  readonly port: number | undefined;
};
export type DeviceGiven = { readonly name: string; readonly minor: number | undefined };
export type MetaGiven = {
  /** `internal` or a device. */
  readonly device: string;
  readonly index: number | undefined;
};
export type VolumeGiven = {
  readonly number: number;
  readonly at: Place;
  /** Straight under the host or the resource, without a `volume` section. */
  readonly implicit: boolean;
  device?: At<DeviceGiven>;
  /** `none`: diskless for good. */
  disk?: At<string>;
  meta?: At<MetaGiven>;
  readonly options: Map<string, Given>;
};
export type HostGiven = {
  readonly kind: 'on' | 'floating' | 'stacked';
  /** Of a stacked one: the resource below. Of a floating one: its address. */
  readonly names: readonly Word[];
  readonly at: Place;
  address?: At<AddressGiven>;
  readonly volumes: Map<number, VolumeGiven>;
  proxy?: Place;
};
/** One end of a DRBD 9 connection or path. */
export type EndGiven = {
  readonly host: Word;
  readonly address?: At<AddressGiven>;
  readonly port?: number;
  readonly via?: Place;
};
export type ConnectionGiven = {
  readonly at: Place;
  readonly ends: readonly EndGiven[];
  /** Paths within it, each with its two ends. */
  readonly paths: readonly (readonly EndGiven[])[];
  readonly net: OptionSet;
  readonly disk: OptionSet;
  readonly volumes: ReadonlyMap<number, OptionSet>;
};
export type ResourceGiven = {
  readonly name: string;
  readonly at: Place;
  readonly sections: OptionSections;
  readonly volumes: Map<number, VolumeGiven>;
  readonly hosts: HostGiven[];
  readonly connections: ConnectionGiven[];
  readonly meshes: { readonly hosts: readonly Word[]; readonly net: OptionSet; readonly at: Place }[];
};
export type FileGiven = {
  readonly global: Map<string, Given>;
  readonly common: OptionSections;
  readonly resources: ResourceGiven[];
};
