import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { err, ok, type Result, text } from '../../base/index.ts';
import type { HostError } from '../index.ts';

/** The package's root: the nearest folder above that holds package.json, from src/ and from dist/ alike. */
export function packageRoot(): string {
  let at = import.meta.dirname;
  while (!existsSync(join(at, 'package.json')) && dirname(at) !== at) at = dirname(at);
  return at;
}

const loaded = new Map<string, unknown>();

/** An addon of native/NAME.c, compiled by scripts/build-native, or the prebuilt file of this processor. Loaded once. */
export function loadNative<Addon>(name: string): Result<Addon, HostError> {
  if (loaded.has(name)) return ok(loaded.get(name) as Addon);
  const what = text(`load the native addon ${name}`, `加载本机扩展 ${name}`);
  const root = packageRoot();
  const candidates = [
    join(root, `build/native/${name}.node`),
    join(root, `native/prebuilt/linux-${process.arch}/${name}.node`),
  ];
  const path = candidates.find(existsSync);
  if (!path) {
    const doing = text(
      `${what.en}: neither ${candidates.join(' nor ')} exists; ${join(root, 'scripts/build-native')} compiles it (needs cc)`,
      `${what.zh}：${candidates.join(' 与 ')} 均不存在；运行 ${join(root, 'scripts/build-native')} 可编译（需要 cc）`,
    );
    return err({ code: 'ENOENT', doing });
  }
  try {
    const addon = createRequire(import.meta.url)(path) as Addon;
    loaded.set(name, addon);
    return ok(addon);
  } catch (e) {
    const why = e instanceof Error ? e.message : String(e);
    return err({ code: 'ENOEXEC', doing: text(`${what.en} ${path}: ${why}`, `${what.zh} ${path}：${why}`) });
  }
}
