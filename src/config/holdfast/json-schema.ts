/** The schema as a JSON Schema (2020-12), for editors. Pure. */
import type { Language } from '../../base/index.ts';
import { SIZE_UNITS, TIME_UNITS } from './scalars.ts';
import type { ScalarType, Schema } from './schema.ts';

export type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json };
const NAME = '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$';
const units = (of: Readonly<Record<string, number>>, per: string): string =>
  `^\\d{1,12}(\\.\\d{1,6})?\\s?(${Object.keys(of).join('|')})${per}$`;

function scalarSchema(t: ScalarType): Json {
  switch (t.kind) {
    case 'text':
    case 'address':
      return { type: 'string' };
    case 'name':
      return { type: 'string', pattern: NAME };
    case 'path':
      return { type: 'string', pattern: '^/' };
    case 'yes-no':
      return { enum: ['yes', 'no'] };
    case 'word':
      return { enum: t.words };
    case 'count':
      return { type: 'integer', minimum: t.low, maximum: t.high };
    case 'time':
      return { type: 'string', pattern: units(TIME_UNITS, '') };
    case 'size':
      return { type: 'string', pattern: units(SIZE_UNITS, '') };
    case 'rate':
      return { type: 'string', pattern: units(SIZE_UNITS, '/s') };
  }
}
function node(s: Schema, language: Language): { readonly [key: string]: Json } {
  switch (s.is) {
    case 'scalar':
      return scalarSchema(s.type) as { readonly [key: string]: Json };
    case 'list':
      return { type: 'array', items: node(s.of, language) };
    case 'map':
      return { type: 'object', propertyNames: { pattern: NAME }, additionalProperties: node(s.of, language) };
    case 'object': {
      const keys = Object.entries(s.keys);
      const properties = keys.map(([k, v]) => [
        k,
        { ...(v.later ? {} : node(v.schema, language)), description: v.help[language] },
      ]);
      const required = keys.filter(([, v]) => v.required).map(([k]) => k);
      return {
        type: 'object',
        properties: Object.fromEntries(properties),
        additionalProperties: false,
        ...(required.length > 0 && { required }),
      };
    }
    case 'either':
      return { anyOf: [node(s.short, language), node(s.long, language)] };
    case 'secret':
      return {
        type: 'object',
        properties: { file: { type: 'string', pattern: '^/' } },
        required: ['file'],
        additionalProperties: false,
      };
  }
}
export const jsonSchema = (s: Schema, language: Language): Json => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'holdfast.yaml',
  ...node(s, language),
});
