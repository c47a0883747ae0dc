/** Configurations with many virtual routers. A VRID is one byte: more than 255 of them need more links. */
import { renderConf } from './conf.ts';

const PER_LINK = 250;
export const linksFor = (instances: number): number => Math.ceil(instances / PER_LINK);

export const manyAddresses = (instances: number): readonly string[] =>
  Array.from({ length: instances }, (_, i) => `10.${9 + Math.floor(i / PER_LINK)}.1.${1 + (i % PER_LINK)}`);

/** VRRPv3, one address each. `advertInt` in seconds. */
export const manyConf = (instances: number, advertInt: number, priority: number): string =>
  renderConf({
    instances: manyAddresses(instances).map((address, i) => ({
      name: `VI_${i + 1}`,
      vrid: 1 + (i % PER_LINK),
      interface: `eth${Math.floor(i / PER_LINK)}`,
      version: 3,
      state: priority === 255 ? 'MASTER' : 'BACKUP',
      priority,
      advertInt,
      addresses: [address],
    })),
  });
