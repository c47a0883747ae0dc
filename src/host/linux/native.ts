/** Finds an addon made from native/NAME.c: in build/native, or the prebuilt one of this processor. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { err, ok, type Result, text } from '../../base/index.ts';
import type { HostError } from '../index.ts';

export function loadNative<T>(name: string): Result<T, HostError> {
  for (let at = import.meta.dirname; ; at = dirname(at)) {
    for (const place of ['build/native', `native/prebuilt/linux-${process.arch}`]) {
      const path = join(at, place, `${name}.node`);
      if (existsSync(path)) return ok(createRequire(import.meta.url)(path) as T);
    }
    if (at !== dirname(at)) continue;
    const doing = text(
      `load the native addon ${name}; scripts/build-native compiles it (needs cc)`,
      `加载本机扩展 ${name}；运行 scripts/build-native 可编译（需要 cc）`,
    );
    return err({ code: 'ENOENT', doing });
  }
}
