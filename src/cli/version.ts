import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** From package.json, which is above this file in a checkout as in an installed package. */
export function version(): string {
  for (let at = import.meta.dirname; ; at = dirname(at)) {
    try {
      return (JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as { version: string }).version;
    } catch {
      if (at === dirname(at)) return '?';
    }
  }
}
