/** The `connection` and `connection-mesh` sections of DRBD 9. */
import { text } from '../../base/index.ts';
import type { ConnectionGiven, EndGiven, Given, OptionSet, ResourceGiven } from './model.ts';
import { type Context, live, needSection, numberBetween, readOptionSet, unknown } from './sections.ts';
import type { Statement, Word } from './tree.ts';
import { readAddress } from './values.ts';

const WORDS = ['host', 'net', 'disk', 'volume', 'path', 'options'];

export function readConnection(c: Context, s: Statement): ConnectionGiven {
  const ends: EndGiven[] = [];
  const paths: EndGiven[][] = [];
  let net: Map<string, Given> = new Map();
  let disk: Map<string, Given> = new Map();
  const volumes = new Map<number, OptionSet>();
  for (const inner of live(needSection(c, s))) {
    const [word, n] = inner.words;
    switch (word.text) {
      case 'host':
        pushEnd(c, ends, inner);
        break;
      case 'net':
        net = readOptionSet(c, 'net', needSection(c, inner));
        break;
      case 'disk':
        disk = readOptionSet(c, 'disk', needSection(c, inner));
        break;
      case 'volume': {
        const number = numberBetween(n, 0, 65_535);
        const body = live(needSection(c, inner)).filter((x) => x.words[0].text === 'disk' && x.body);
        if (number !== undefined)
          volumes.set(number, new Map(body.flatMap((x) => [...readOptionSet(c, 'disk', x.body ?? [])])));
        break;
      }
      case 'path': {
        const both: EndGiven[] = [];
        for (const x of live(needSection(c, inner)))
          if (x.words[0].text === 'host') pushEnd(c, both, x);
          else unknown(c, x.words[0], 'path', ['host']);
        if (both.length !== 2) twoHosts(c, inner.words[0], both.length);
        paths.push(both);
        break;
      }
      case 'options':
        break;
      default:
        unknown(c, word, 'connection', WORDS);
    }
  }
  if (ends.length !== 2 && !(ends.length === 0 && paths.length > 0)) twoHosts(c, s.words[0], ends.length);
  return { at: s.words[0].at, ends, paths, net, disk, volumes };
}
function twoHosts(c: Context, w: Word, have: number): void {
  c.report.error(
    'drbd-two-hosts',
    w.at,
    text(`a ${w.text} joins two hosts, and this has ${have}`, `${w.text} 连接两台主机，此处为 ${have} 台`),
  );
}

/** `host NAME [address A[:P]] [port P] [via proxy on X { } | via outside-address A:P]`. */
function pushEnd(c: Context, into: EndGiven[], s: Statement): void {
  const [word, host, ...rest] = s.words;
  if (!host) {
    c.report.error('drbd-host-name', word.at, text('host needs a name', 'host 缺少名称'));
    return;
  }
  let end: EndGiven = { host };
  for (let i = 0; i < rest.length; i++) {
    const w = rest[i]!;
    if (w.text === 'address') {
      const until = rest.findIndex((x, at) => at > i && (x.text === 'via' || x.text === 'port'));
      const a = readAddress(rest.slice(i + 1, until < 0 ? undefined : until), w.at, c.report);
      if (a) end = { ...end, address: a };
      i = (until < 0 ? rest.length : until) - 1;
    } else if (w.text === 'port') {
      const port = numberBetween(rest[++i], 1, 65_535);
      if (port === undefined)
        c.report.error('drbd-range', w.at, text('port is a number in 1..65535', 'port 须为 1..65535 之间的数'));
      else end = { ...end, port };
    } else if (w.text === 'via') {
      end = rest[i + 1]?.text === 'outside-address' ? end : { ...end, via: w.at };
      break;
    } else {
      unknown(c, w, 'host', ['address', 'port', 'via']);
      break;
    }
  }
  into.push(end);
}

export function readMesh(c: Context, s: Statement): ResourceGiven['meshes'][number] {
  let hosts: Word[] = [];
  let net: Map<string, Given> = new Map();
  for (const inner of live(needSection(c, s))) {
    const [word, ...rest] = inner.words;
    if (word.text === 'hosts') hosts = rest;
    else if (word.text === 'net') net = readOptionSet(c, 'net', needSection(c, inner));
    else unknown(c, word, 'connection-mesh', ['hosts', 'net']);
  }
  return { hosts, net, at: s.words[0].at };
}
