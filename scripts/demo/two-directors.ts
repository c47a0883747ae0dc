/**
 * The main job: two directors share one address in front of two real servers. A server dies, both die, the active
 * director loses its power under load. Everything is real but the hardware: hosts of namespaces, nginx, the
 * configuration file of examples/seed.conf as it is, and a client that asks all the time.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from '../../src/base/index.ts';
import { Lab, type LabDefinition, LabError } from '../../src/lab/index.ts';
import { playOn } from './play-on.ts';
import { powerCutUnderLoad } from './power-cut.ts';
import { bothDie, oneDies, takeTurns } from './real-servers.ts';
import { ASK_MS, root, VIP } from './scene.ts';
import { Broken, type DemoOptions, pad, Teller } from './story.ts';

const holdfast = join(root, 'bin/holdfast');

/** Resolves with the exit code: 0 if the story came true. */
export async function twoDirectors(o: DemoOptions): Promise<number> {
  let lab: Lab | undefined;
  try {
    const teller = new Teller(o);
    opening(teller);
    lab = await Lab.start(withHoldfast());
    teller.begin();
    teller.say(text('power on', '全部通电'));
    const scene = await takeTurns(lab, teller);
    await oneDies(scene);
    await bothDie(scene);
    const end = await powerCutUnderLoad(scene);
    await scene.probe.stop();
    teller.line();
    teller.line(end);
    if (o.keep)
      await playOn(lab, teller, [
        `run ha1 ${holdfast} lb status`,
        `run ha1 ${holdfast} lb drain ${VIP}:80 192.168.1.11`,
        `run ha1 ${holdfast} lb check ${VIP}:80`,
        'power-cut ha1',
        'power-on ha1',
        'shell client',
        'help',
      ]);
    return 0;
  } catch (e) {
    if (!(e instanceof Broken || e instanceof LabError)) throw e;
    o.write(`\n✗ ${e.text[o.language]}\n`);
    return 1;
  } finally {
    await lab?.stop();
  }
}

/** The example's hosts; the directors start Holdfast whenever they get power. */
function withHoldfast(): LabDefinition {
  const example = JSON.parse(readFileSync(join(root, 'examples/two-directors.lab.json'), 'utf8')) as LabDefinition;
  const daemon = [holdfast, 'keepalived', '-n', '-l', '-f', '/etc/keepalived/keepalived.conf'];
  const hosts = { ...example.hosts };
  for (const name of ['ha1', 'ha2']) hosts[name] = { ...hosts[name], start: [...(hosts[name]?.start ?? []), daemon] };
  return { ...example, hosts };
}

function opening(t: Teller): void {
  t.line(
    text('Holdfast: two directors, one address, two real servers', 'Holdfast：两台调度器，一个地址，两台真实服务器'),
  );
  t.line();
  const server = text(`real server, nginx; has ${VIP} on lo`, `真实服务器，nginx；lo 上有 ${VIP}`);
  const rows = [
    ['ha1', '192.168.1.21', text('director, priority 100', '调度器，优先级 100')],
    [
      'ha2',
      '192.168.1.22',
      text('director, priority 96: examples/seed.conf as it is', '调度器，优先级 96：原样使用 examples/seed.conf'),
    ],
    ['web1', '192.168.1.11', server],
    ['web2', '192.168.1.12', server],
    ['client', '192.168.1.100', text(`asks http://${VIP}/ every ${ASK_MS} ms`, `每 ${ASK_MS} 毫秒访问 http://${VIP}/`)],
  ] as const;
  for (const [name, address, what] of rows)
    t.line(text(`  ${pad(name, 8)}${pad(address, 16)}${what.en}`, `  ${pad(name, 8)}${pad(address, 16)}${what.zh}`));
  t.line();
}
