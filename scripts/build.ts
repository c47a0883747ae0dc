/**
 * Builds what an installed package runs: dist/, since Node strips no types inside node_modules, and the addon for this
 * processor in native/prebuilt/. `npm pack` comes through here.
 */
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runAll } from './run.ts';

const root = join(import.meta.dirname, '..');
rmSync(join(root, 'dist'), { recursive: true, force: true });
process.exitCode = await runAll([{ name: 'dist', argv: ['node_modules/.bin/tsc', '-p', 'tsconfig.build.json'] }]);

// Where nothing has been compiled, what is there was made from the present source: scripts/build-native saw to it.
const compiled = join(root, 'build/native');
const prebuilt = join(root, `native/prebuilt/linux-${process.arch}`);
for (const file of existsSync(compiled) ? readdirSync(compiled).filter((f) => /\.(node|hash)$/.test(f)) : [])
  cpSync(join(compiled, file), join(prebuilt, file));
// The BPF objects fit every little-endian processor.
const objects = join(compiled, 'bpf');
for (const file of existsSync(objects) ? readdirSync(objects).filter((f) => /\.(o|hash)$/.test(f)) : [])
  cpSync(join(objects, file), join(root, 'native/prebuilt/bpf', file));
