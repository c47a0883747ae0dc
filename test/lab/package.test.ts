/** What `npm pack` makes is what an installed machine runs: no source, no compiler, no package of the developers. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lab } from '../../src/lab/index.ts';

const root = join(import.meta.dirname, '../..');
const seed = join(root, 'examples/seed.conf');
const skip =
  spawnSync('unshare', ['--net', '--mount', '--pid', '--fork', 'true']).status === 0
    ? false
    : 'needs root or user namespaces';

test('the package, installed, checks a configuration and holds its address', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-package-'));
  t.after(() => rmSync(folder, { recursive: true }));
  execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root, stdio: 'pipe' });
  const [tarball] = readdirSync(folder);
  assert.ok(tarball);
  // As npm lays it out, with the packages that this checkout has, so that no registry is asked.
  const packages = join(folder, 'node_modules');
  mkdirSync(packages);
  execFileSync('tar', ['-xzf', join(folder, tarball), '-C', packages]);
  execFileSync('mv', [join(packages, 'package'), join(packages, 'holdfast')]);
  const needed = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, Record<string, string>>;
  const there = new Set(readdirSync(join(root, 'node_modules')));
  for (const name of Object.keys({ ...needed['dependencies'], ...needed['optionalDependencies'] }))
    if (there.has(name)) symlinkSync(join(root, 'node_modules', name), join(packages, name));

  const holdfast = join(packages, 'holdfast/bin/holdfast');
  const check = spawnSync(holdfast, ['keepalived', '-t', '-f', seed], { cwd: '/', encoding: 'utf8' });
  assert.equal(check.status, 0, check.stderr);
  assert.ok(!readdirSync(join(packages, 'holdfast')).includes('src'));

  await using lab = await Lab.start({
    switches: ['lan'],
    hosts: {
      ha1: {
        links: { ens33: { to: 'lan', addresses: ['192.168.1.21/24'] } },
        files: { '/etc/keepalived/keepalived.conf': readFileSync(seed, 'utf8') },
      },
    },
  });
  const host = lab.host('ha1');
  const daemon = host.spawn([holdfast, 'keepalived', '-n', '-l', '-f', '/etc/keepalived/keepalived.conf']);
  const holds = async (): Promise<boolean> =>
    (await host.run(['ip', '-o', 'address', 'show', 'dev', 'ens33'])).stdout.includes('192.168.1.99/24');
  for (let i = 0; i < 500 && daemon.running && !(await holds()); i++) await sleep(200);
  assert.ok(await holds(), daemon.text('stderr') + daemon.text('stdout'));
  await daemon.kill('SIGTERM');
  assert.deepEqual(await daemon.exited, { code: 0, signal: undefined });
  assert.equal(await holds(), false);
});
