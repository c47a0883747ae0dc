import type { Language } from '../../base/index.ts';
import { type Json, jsonSchema } from './json-schema.ts';
import { ROOT } from './root.ts';

export type { ClusterHost, ClusterLink } from './hosts.ts';
export { type HoldfastConfig, type HoldfastResult, readHoldfastYaml } from './reader.ts';
/** For editors: `holdfast config schema`. */
export const holdfastJsonSchema = (language: Language): Json => jsonSchema(ROOT, language);
