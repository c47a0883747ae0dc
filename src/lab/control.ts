import type { Socket } from 'node:net';
import { unreachable } from '../base/index.ts';
import { type ClientMessage, onMessages, tell } from './control-socket.ts';
import { LabError } from './error.ts';
import type { Lab } from './lab.ts';
import { isSlow } from './plan.ts';
import type { Program } from './program.ts';
import { parseVerb, type Verb } from './verbs.ts';

type Terminal = { readonly columns: number | undefined; readonly rows: number | undefined };

/** Serves one client of a running lab; `down` is called where it asks for the end. */
export function serveClient(lab: Lab, client: Socket, down: () => void): void {
  let program: Program | undefined;
  const gone = Promise.withResolvers<void>();
  client.on('error', () => {}); // a client that left: `close` follows
  client.once('close', () => {
    gone.resolve();
    void program?.kill('SIGKILL');
  });
  const started = (p: Program): void => {
    program = p;
    p.onOutput((to, text) => tell(client, { to, text }));
  };
  onMessages<ClientMessage>(client, (m) => {
    if ('input' in m) program?.write(m.input);
    else if ('end' in m) program?.endInput();
    else void serve(m);
  });

  async function serve(m: { argv: readonly string[]; columns?: number; rows?: number }): Promise<void> {
    const verb = parseVerb(m.argv);
    if (!verb.ok) {
      tell(client, { error: verb.error });
      tell(client, { exit: 2 });
      return;
    }
    try {
      const terminal = { columns: m.columns, rows: m.rows };
      const exit = await perform(lab, verb.value, terminal, { started, gone: gone.promise, say });
      tell(client, { exit });
    } catch (e) {
      if (!(e instanceof LabError)) throw e;
      tell(client, { error: e.text });
      tell(client, { exit: 2 });
    }
    if (verb.value.do === 'down') down();
  }
  const say = (text: string): void => tell(client, { to: 'stdout', text: `${text}\n` });
}

async function perform(
  lab: Lab,
  verb: Verb,
  terminal: Terminal,
  io: {
    readonly started: (p: Program) => void;
    readonly gone: Promise<void>;
    readonly say: (text: string) => void;
  },
): Promise<number> {
  const finish = async (p: Program): Promise<number> => {
    io.started(p);
    const exit = await p.exited;
    return exit.code ?? 1;
  };
  switch (verb.do) {
    case 'list':
      io.say(renderLab(lab));
      return 0;
    case 'down':
      return 0;
    case 'run':
      return finish(lab.host(verb.host).spawn(verb.argv, { input: 'pipe' }));
    case 'shell': {
      // script(1) gives the shell a terminal of its own: this process has none to hand on.
      const size = terminal.columns ? `stty columns ${terminal.columns} rows ${terminal.rows};` : '';
      const shell = `${size} exec bash -i`;
      const env = { PS1: `${verb.host}# `, TERM: process.env['TERM'] ?? 'linux' };
      return finish(lab.host(verb.host).spawn(['script', '-qefc', shell, '/dev/null'], { input: 'pipe', env }));
    }
    case 'power-cut':
      await lab.host(verb.host).powerCut();
      return 0;
    case 'power-on':
      await lab.host(verb.host).powerOn();
      return 0;
    case 'pause':
      await lab.host(verb.host).pause();
      return 0;
    case 'resume':
      await lab.host(verb.host).resume();
      return 0;
    case 'cut':
      await lab
        .link(verb.link.host, verb.link.link)
        .cut(verb.how === 'carrier' ? { carrier: true } : { direction: verb.how });
      return 0;
    case 'slow':
      await lab.link(verb.link.host, verb.link.link).slow(verb.slowness);
      return 0;
    case 'heal':
      await (verb.link ? lab.link(verb.link.host, verb.link.link).heal() : lab.heal());
      return 0;
    case 'partition':
      await lab.partition(verb.groups);
      return 0;
    case 'capture': {
      const capture = await lab
        .link(verb.link.host, verb.link.link)
        .capture({ file: verb.file, ...(verb.filter === undefined ? {} : { filter: verb.filter }) });
      io.say(`${verb.link.host}:${verb.link.link} -> ${verb.file}`);
      await io.gone;
      await capture.stop();
      return 0;
    }
    default:
      return unreachable(verb);
  }
}

/** One line for each link: host, power, link, addresses, and what was done to it. */
export function renderLab(lab: Lab): string {
  const rows = [...lab.hosts.values()].flatMap((h) => {
    const power = h.powered ? 'on' : 'off';
    const links = Object.entries(h.definition.links ?? {});
    if (links.length === 0) return [[h.name, power, '-', '-', '-', '-']];
    return links.map(([name, l]) => {
      const s = lab.link(h.name, name).state;
      const done = [
        s.cut.in && s.cut.out ? 'cut' : s.cut.in ? 'cut-in' : s.cut.out ? 'cut-out' : '',
        s.unplugged ? 'unplugged' : '',
        isSlow(s) ? 'slow' : '',
        s.segment > 0 ? `part ${s.segment}` : '',
      ].filter((w) => w !== '');
      return [h.name, power, name, l.to, (l.addresses ?? []).join(' ') || '-', done.join(' ') || 'ok'];
    });
  });
  const table = [['HOST', 'POWER', 'LINK', 'SWITCH', 'ADDRESSES', 'STATE'], ...rows];
  const widths = (table[0] as string[]).map((_, i) => Math.max(...table.map((r) => (r[i] ?? '').length)));
  return table
    .map((r) =>
      r
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
