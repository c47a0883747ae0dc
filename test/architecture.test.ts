/** Who may import whom. A part is entered only through its index.ts, a format through its own; the table is the architecture. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

const src = resolve(import.meta.dirname, '../src');

const parts = ['vrrp', 'bfd', 'director', 'mirror', 'exports'] as const;
/** Formats are entered one by one: who reads one loads no other. */
const formats = ['keepalived', 'ldirectord', 'drbd', 'holdfast'].map((f) => `config/${f}/index.ts`);
const mayImport: Record<string, readonly string[]> = {
  base: [],
  wire: ['base'],
  host: ['base', 'wire:types'],
  'host/linux': ['base', 'wire', 'host'],
  vrrp: ['base', 'wire', 'host'],
  bfd: ['base', 'wire', 'host'],
  director: ['base', 'wire', 'host'],
  exports: ['base', 'wire', 'host'],
  mirror: ['base', 'wire', 'host'],
  config: ['base', ...parts.map((p) => `${p}/config.ts`)],
  api: ['base', ...parts.map((p) => `${p}:types`)],
  daemon: ['base', 'wire', 'host', 'host/linux', ...formats, 'api', ...parts],
  cli: ['base', 'wire', 'api', 'daemon:entry'],
  sim: ['base', 'wire', 'host', ...formats, 'api', 'daemon', ...parts],
  lab: ['base', 'api', 'cli', 'host', 'host/linux'],
};

type Import = { from: string; to: string; typesOnly: boolean; line: number };

function* sources(folder: string): Generator<string> {
  for (const e of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, e.name);
    if (e.isDirectory()) yield* sources(path);
    else if (e.name.endsWith('.ts') && !e.name.endsWith('.test.ts')) yield path;
  }
}
const partOf = (file: string): string => {
  const r = relative(src, file);
  return r.startsWith('host/linux/') ? 'host/linux' : (r.split('/')[0] as string);
};
function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const found: Import[] = [];
  for (const m of text.matchAll(
    /^(?:import|export)\s+(type\b)?[^;'"]*?from\s+'(\.[^']+)'|import\(\s*'(\.[^']+)'\s*\)/gm,
  )) {
    const to = resolve(dirname(file), (m[2] ?? m[3]) as string);
    found.push({ from: file, to, typesOnly: m[1] !== undefined, line: text.slice(0, m.index).split('\n').length });
  }
  return found;
}

test('every part imports only what the table allows, and only through index.ts', () => {
  const wrong: string[] = [];
  for (const file of sources(src)) {
    const part = partOf(file);
    const allowed = mayImport[part];
    assert.ok(allowed, `src/${part} is not in the table`);
    for (const i of importsOf(file)) {
      const target = partOf(i.to);
      if (target === part) continue;
      const inside = relative(join(src, target), i.to);
      const fits = allowed.some((rule) => {
        if (rule === target) return inside === 'index.ts';
        if (rule === `${target}:types`) return inside === 'index.ts' && i.typesOnly;
        if (rule === `${target}:entry`) return inside === 'index.ts';
        return rule === `${target}/${inside}`;
      });
      if (!fits) wrong.push(`${relative(src, file)}:${i.line} imports ${relative(src, i.to)}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('the table itself has no cycle', () => {
  const visit = (part: string, path: readonly string[]): void => {
    assert.ok(!path.includes(part), `cycle: ${[...path, part].join(' -> ')}`);
    for (const rule of mayImport[part] ?? []) {
      const target = rule.replace(/:.*|(\/\w+)?\/(config|index)\.ts$/, '');
      visit(target, [...path, part]);
    }
  };
  for (const part of Object.keys(mayImport)) visit(part, []);
});

test('no file imports itself by way of others; but the parts of one mirror name the types of each other', () => {
  const knot = join(src, 'mirror/resource/');
  const known = (i: Import): boolean => i.typesOnly && i.from.startsWith(knot) && i.to.startsWith(knot);
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const begun = path.indexOf(file);
    const circle = [...path.slice(begun), file].map((f) => relative(src, f));
    assert.ok(begun < 0, `cycle: ${circle.join(' -> ')}`);
    if (done.has(file)) return;
    for (const i of importsOf(file)) if (!known(i)) visit(i.to, [...path, file]);
    done.add(file);
  };
  for (const file of sources(src)) visit(file, []);
});

test('no part but host/linux, daemon, cli, lab and the console touches a socket, a process or the clock by itself', () => {
  const free = new Set(['host/linux', 'daemon', 'cli', 'lab']);
  const forbidden =
    /from 'node:(?!assert|test)|\bDate\.now\(|\bperformance\.now\(|\bsetTimeout\(|\bsetInterval\(|\bMath\.random\(/;
  const wrong: string[] = [];
  for (const file of sources(src)) {
    if (free.has(partOf(file))) continue;
    readFileSync(file, 'utf8')
      .split('\n')
      .forEach((line, i) => {
        // Hashing is a pure function; of `vm` only its limit on how long a match may take is used.
        const pure = /from 'node:crypto'/.test(line) || /^import \{ createContext, Script \} from 'node:vm'/.test(line);
        if (forbidden.test(line) && !pure) wrong.push(`${relative(src, file)}:${i + 1}: ${line.trim()}`);
      });
  }
  assert.deepEqual(wrong, []);
});
