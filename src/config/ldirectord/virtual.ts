/** One virtual server with what is indented below it. */
import { type Family, type Microseconds, seconds, text } from '../../base/index.ts';
import {
  type Protocol,
  type RealServer,
  SCHEDULERS,
  type Secret,
  type SorryServer,
  type VirtualServer,
  type VirtualService,
} from '../../director/config.ts';
import { type CheckType, type CheckWords, checkerOf } from './checks.ts';
import type { Directive } from './lines.ts';
import { SERVICES, type Service, serviceOf } from './services.ts';
import {
  type Context,
  type Endpoint,
  piecesOf,
  readEndpoint,
  readMethod,
  readNumber,
  readOneOf,
  readPort,
  readRange,
  readYesNo,
} from './values.ts';

export type Section = { readonly head: Directive; readonly words: Map<string, Directive>; readonly reals: Directive[] };

const CHECK_TYPES = ['connect', 'negotiate', 'ping', 'external', 'external-perl', 'on', 'off'] as const;

/** The directives of a virtual server, and behind them those of the whole file. */
class Words {
  readonly #section: Section;
  readonly #global: Section;
  readonly #c: Context;
  constructor(section: Section, global: Section, c: Context) {
    this.#section = section;
    this.#global = global;
    this.#c = c;
  }
  get(name: string): Directive | undefined {
    return this.#section.words.get(name) ?? this.#global.words.get(name);
  }
  read<T>(name: string, reader: (c: Context, d: Directive) => T | undefined): T | undefined {
    const d = this.get(name);
    return d && reader(this.#c, d);
  }
  text(name: string): string | undefined {
    return this.get(name)?.value;
  }
  seconds(name: string): Microseconds | undefined {
    const n = this.read(name, (c, d) => readNumber(c, d, 1, 86_400));
    return n === undefined ? undefined : seconds(n);
  }
  /** `file:PATH` is our own way to keep a secret out of the configuration. */
  secret(name: string): Secret | undefined {
    const d = this.get(name);
    if (!d || d.value === '') return undefined;
    if (d.value.startsWith('file:')) return { file: d.value.slice(5) };
    this.#c.report.warn(
      'secret-in-clear',
      d.at,
      text(`${d.name} stands here for everybody who may read this file`, `${d.name} 以明文写在此文件中`),
      text(`write '${d.name} = "file:/path/of/a/file"'`, `请写 '${d.name} = "file:/文件/路径"'`),
    );
    return { literal: d.value };
  }
}

function serviceAt(head: Directive, family: Family, w: Words, c: Context): VirtualService | undefined {
  const protocolAt = w.get('protocol');
  const protocol = protocolAt && readOneOf(c, protocolAt, ['tcp', 'udp', 'fwm'] as const);
  const clash = (en: string, zh: string): undefined => {
    c.report.error('ldirectord-protocol', protocolAt?.valueAt ?? head.valueAt, text(en, zh));
    return undefined;
  };
  if (/^\d+$/.test(head.value)) {
    const mark = readNumber(c, head, 1, 0xffff_ffff);
    if (mark === undefined) return undefined;
    if (protocol === 'tcp' || protocol === 'udp')
      return clash('the protocol of a firewall mark is fwm', '防火墙标记的协议为 fwm');
    return { by: 'fwmark', mark, family };
  }
  const [piece] = piecesOf(head);
  const at = piece && readEndpoint(c, piece, family);
  if (!at) {
    if (!piece)
      c.report.error('ldirectord-address', head.at, text('virtual: an address is missing', 'virtual：缺少地址'));
    return undefined;
  }
  if (at.port === undefined) {
    c.report.error(
      'ldirectord-address',
      head.valueAt,
      text('a virtual server has a port, or is a firewall mark', '虚拟服务器须有端口，或为防火墙标记'),
    );
    return undefined;
  }
  if (protocol === 'fwm') return clash('protocol fwm is for firewall marks', '协议 fwm 只用于防火墙标记');
  const usual: Protocol = at.port === 53 ? 'udp' : 'tcp';
  return { by: 'address', address: at.address, port: at.port, protocol: protocol ?? usual };
}

function readCheckType(c: Context, d: Directive): CheckType | undefined {
  if (/^\d+$/.test(d.value)) return readNumber(c, d, 1, 1_000_000);
  return readOneOf(c, d, CHECK_TYPES);
}

function readNetmask(c: Context, d: Directive, family: Family): number | undefined {
  const quads = d.value.split('.').map(Number);
  if (family === 4 && quads.length === 4 && quads.every((q) => q >= 0 && q <= 255)) {
    const bits = quads.map((q) => q.toString(2).padStart(8, '0')).join('');
    if (/^1+0*$/.test(bits)) return bits.lastIndexOf('1') + 1;
  }
  return readNumber(c, d, 1, family === 4 ? 32 : 128);
}

export function buildVirtual(
  section: Section,
  global: Section,
  hostName: string,
  c: Context,
): VirtualServer | undefined {
  const { head } = section;
  const w = new Words(section, global, c);
  const marked = /^\d+$/.test(head.value);
  const family: Family = head.name === 'virtual6' || (marked && section.reals.some((r) => r.name === 'real6')) ? 6 : 4;
  const service = serviceAt(head, family, w, c);
  const port = service?.by === 'address' ? service.port : 0;
  const udp = service?.by === 'address' && service.protocol === 'udp';
  const quiescent = w.read('quiescent', readYesNo) ?? true;
  const checks = checkWords(section, w, service, port, udp, hostName, c);
  const servers = section.reals.flatMap((d) => realServers(d, family, port, marked, quiescent, checks, c));
  const sorry = checks.type === 'off' ? undefined : sorryOf(w, family, port, quiescent, c);
  const persistence = w.read('persistent', (c, d) => readNumber(c, d, 1, 31_536_000));
  const granularity = w.read('netmask', (c, d) => readNetmask(c, d, family));
  const command = w
    .text('fallbackcommand')
    ?.split(/\s+/)
    .filter((x) => x !== '');
  const script = (verb: string): { argv: [string, ...string[]] } => ({
    argv: [command?.[0] ?? '', ...(command ?? []).slice(1), verb],
  });
  const onePacket = w.read('ops', readYesNo) ?? false;
  const ops = w.get('ops');
  if (onePacket && ops && !udp && service?.by === 'address')
    c.report.error('ldirectord-protocol', ops.valueAt, text('ops is for UDP', 'ops 只用于 UDP'));
  if (section.reals.length === 0)
    c.report.warn('real-server-none', head.at, text('there is no real server below it', '其下没有真实服务器'));
  if (!service) return undefined;
  const scheduler = w.read('scheduler', (c, d) => readOneOf(c, d, SCHEDULERS)) ?? 'wrr';
  return {
    service,
    scheduler,
    flags: [],
    hashed: false,
    onePacket,
    forwarding: servers[0]?.forwarding ?? { method: 'direct-routing' },
    ...(persistence !== undefined && {
      persistence: { seconds: persistence, ...(granularity !== undefined && { granularity }) },
    }),
    alpha: true,
    omega: false,
    haSuspend: false,
    quorum: 1,
    hysteresis: 0,
    ...(command && command.length > 0 && { quorumUp: script('stop'), quorumDown: script('start') }),
    smtpAlert: w.get('emailalert') !== undefined,
    ...(sorry && { sorryServer: sorry }),
    realServers: servers,
  };
}

function checkWords(
  section: Section,
  w: Words,
  service: VirtualService | undefined,
  port: number,
  udp: boolean,
  hostName: string,
  c: Context,
): CheckWords {
  const negotiate = w.seconds('negotiatetimeout');
  const check = w.seconds('checktimeout');
  const named = w.read('service', (c, d) => readOneOf(c, d, SERVICES));
  const command =
    w
      .text('checkcommand')
      ?.split(/\s+/)
      .filter((x) => x !== '') ?? [];
  const portAt = w.get('checkport');
  return {
    type: w.read('checktype', readCheckType) ?? 'negotiate',
    service: named ?? (serviceOf(port) as Service),
    udp,
    interval: w.seconds('checkinterval') ?? seconds(10),
    checkTimeout: check ?? negotiate ?? seconds(5),
    negotiateTimeout: negotiate ?? seconds(30),
    failureCount: w.read('failurecount', (c, d) => readNumber(c, d, 1, 10_000)) ?? 1,
    port: portAt && readPort(c, portAt.value, portAt.valueAt),
    command: command.length > 0 ? (command as [string, ...string[]]) : ['/bin/true'],
    request: w.text('request'),
    receive: w.text('receive'),
    receiveAt: w.get('receive')?.valueAt,
    head:
      w.read('httpmethod', (c, d) => readOneOf(c, { ...d, value: d.value.toUpperCase() }, ['GET', 'HEAD'] as const)) ===
      'HEAD',
    virtualHost: w.text('virtualhost'),
    login: w.text('login') || undefined,
    password: w.secret('passwd'),
    secret: w.secret('secret'),
    database: w.text('database'),
    at: section.head,
    virtual:
      service?.by === 'address'
        ? [service.address, String(port)]
        : [service?.by === 'fwmark' ? String(service.mark) : '', '0'],
    hostName,
  };
}

/** `address[->address][:port] method [weight] ["request", "receive"]` */
function realServers(
  d: Directive,
  family: Family,
  virtualPort: number,
  marked: boolean,
  quiescent: boolean,
  checks: CheckWords,
  c: Context,
): RealServer[] {
  if ((d.name === 'real6') !== (family === 6)) {
    const word = family === 6 ? 'real6' : 'real';
    c.report.error(
      'ldirectord-family',
      d.at,
      text(`a server of the other family: write ${word}`, `地址族不符：请写 ${word}`),
    );
    return [];
  }
  const quoted = /\s+"((?:[^"\\]|\\.)*)"(?:\s*,\s*"((?:[^"\\]|\\.)*)")?\s*$/.exec(d.value);
  const plain = { ...d, value: quoted ? d.value.slice(0, quoted.index) : d.value };
  const [where, how, weightAt, extra] = piecesOf(plain);
  if (extra) {
    c.report.error(
      'ldirectord-syntax',
      extra.at,
      text(`'${extra.word}' is one word too many`, `'${extra.word}' 是多余的`),
    );
    return [];
  }
  if (!where || !how) {
    c.report.error(
      'ldirectord-syntax',
      d.valueAt,
      text(
        'a real server is an address and a method: gate, masq or ipip',
        '真实服务器由地址和转发方式（gate、masq、ipip）组成',
      ),
    );
    return [];
  }
  const endpoints = readRange(c, where, family);
  const forwarding = readMethod(c, how);
  const weight = weightAt ? readNumber(c, { ...d, value: weightAt.word, valueAt: weightAt.at }, 0, 65535) : 1;
  if (!endpoints || !forwarding || weight === undefined) return [];
  const override = {
    request: quoted?.[1],
    receive: quoted?.[2],
    at: quoted?.[2] === undefined ? checks.receiveAt : d.valueAt,
  };
  return endpoints.flatMap((e: Endpoint): RealServer[] => {
    const mapped = forwarding.method !== 'nat' && !marked && e.port !== undefined && e.port !== virtualPort;
    if (mapped && e === endpoints[0])
      c.report.warn(
        'ldirectord-port',
        where.at,
        text(
          `${how.word} cannot change the port: clients of ${virtualPort} reach ${virtualPort}`,
          `${how.word} 不能改变端口：仍为 ${virtualPort}`,
        ),
        text("use masq, or 'checkport' if only the check is meant", "请用 masq；若只想改检查端口，用 'checkport'"),
      );
    const port = marked || mapped ? undefined : (e.port ?? undefined);
    const checker = checkerOf(checks, e, (marked ? e.port : port) ?? (virtualPort || undefined), override, c);
    return [
      {
        address: e.address,
        port,
        weight,
        forwarding,
        inhibitOnFailure: quiescent,
        alpha: true,
        smtpAlert: false,
        checkers: checker ? [checker] : [],
      },
    ];
  });
}

function sorryOf(w: Words, family: Family, port: number, quiescent: boolean, c: Context): SorryServer | undefined {
  const d = w.get(family === 6 ? 'fallback6' : 'fallback');
  if (!d) return undefined;
  const [where, how] = piecesOf(d);
  const at = where && readEndpoint(c, where, family);
  const forwarding = how ? readMethod(c, how) : ({ method: 'direct-routing' } as const);
  if (!where) c.report.error('ldirectord-address', d.at, text('fallback: an address is missing', 'fallback：缺少地址'));
  if (!at || !forwarding) return undefined;
  const mapped = forwarding.method !== 'nat' && at.port !== undefined && port !== 0 && at.port !== port;
  return { address: at.address, port: mapped ? undefined : at.port, forwarding, inhibitOnFailure: quiescent };
}
