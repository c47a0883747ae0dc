/** Compiles native/*.c into build/native/NAME.node, each only when its source, this compiler call or the headers' version changed. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const out = join(root, 'build/native');
const headers = join(root, 'node_modules/node-api-headers/include');
const flags = [
  '-shared',
  '-fPIC',
  '-O2',
  '-std=gnu11',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-fvisibility=hidden',
  '-DNAPI_VERSION=8',
  `-I${headers}`,
];

for (const file of readdirSync(join(root, 'native')).filter((f) => f.endsWith('.c'))) {
  const source = join(root, 'native', file);
  const target = join(out, `${basename(file, '.c')}.node`);
  const hash = createHash('sha256').update(readFileSync(source)).update(flags.slice(0, -1).join(' ')).digest('hex');
  if (existsSync(target) && existsSync(`${target}.hash`) && readFileSync(`${target}.hash`, 'utf8') === hash) continue;
  process.stderr.write(`compiling native/${file}\n`);
  mkdirSync(out, { recursive: true });
  // Renamed into place, so that a second run beside this one never loads half a file.
  const fresh = `${target}.${process.pid}`;
  execFileSync(process.env['CC'] ?? 'cc', [...flags, source, '-o', fresh], { stdio: ['ignore', 'inherit', 'inherit'] });
  renameSync(fresh, target);
  writeFileSync(`${target}.hash`, hash);
}
