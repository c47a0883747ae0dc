import type {
  CheckConnection,
  Checker,
  CheckTiming,
  DirectorConfig,
  Forwarding,
  GroupMember,
  RealServer,
  UrlCheck,
  VirtualServer,
} from '../../../director/config.ts';
import { quoted, scriptText, secondsText, type Writer } from './writer.ts';

function forwardingText(f: Forwarding): string {
  if (f.method !== 'tunnel') return f.method === 'nat' ? 'NAT' : 'DR';
  const sum = ({ none: '', full: ' csum', remote: ' remcsum' } as const)[f.checksum];
  return `TUN type ${f.type}${f.port === undefined ? '' : ` port ${f.port}`}${sum}`;
}
const memberText = (m: GroupMember): string =>
  m.by === 'fwmark'
    ? `fwmark ${m.mark}${m.family === undefined ? '' : m.family === 4 ? ' inet' : ' inet6'}`
    : `${m.from === m.to ? m.from : `${m.from}-${m.to}`}${m.port === 0 ? '' : ` ${m.port}`}`;

export function describeDirector(w: Writer, d: DirectorConfig): void {
  const { tls } = d;
  if (tls)
    w.block('SSL', () => {
      for (const [word, value] of Object.entries(tls)) w.line(word, quoted(value));
    });
  for (const g of d.groups)
    w.block(`virtual_server_group ${quoted(g.name)}`, () => {
      for (const m of g.members) w.line(memberText(m));
    });
  for (const v of d.virtualServers) virtualServer(w, v);
}

function virtualServer(w: Writer, v: VirtualServer): void {
  const s = v.service;
  const head =
    s.by === 'address'
      ? `${s.address}${s.port === 0 ? '' : ` ${s.port}`}`
      : s.by === 'fwmark'
        ? `fwmark ${s.mark}`
        : `group ${quoted(s.group)}`;
  w.block(`virtual_server ${head}`, () => {
    if (s.by === 'fwmark') w.line('ip_family', s.family === 4 ? 'inet' : 'inet6');
    else w.line('protocol', s.protocol.toUpperCase());
    w.line('lvs_sched', v.scheduler);
    for (const f of v.flags) w.line(f);
    w.flag('hashed', v.hashed);
    w.flag('ops', v.onePacket);
    w.line('lvs_method', forwardingText(v.forwarding));
    const p = v.persistence;
    if (p) {
      w.line('persistence_timeout', p.seconds);
      w.maybe('persistence_granularity', p.granularity);
      w.maybe('persistence_engine', p.engine);
    }
    w.bool('alpha', v.alpha);
    w.flag('omega', v.omega);
    w.flag('ha_suspend', v.haSuspend);
    w.line('quorum', v.quorum);
    w.line('hysteresis', v.hysteresis);
    w.script('quorum_up', v.quorumUp);
    w.script('quorum_down', v.quorumDown);
    w.bool('smtp_alert', v.smtpAlert);
    w.maybe('snmp_name', v.snmpName === undefined ? undefined : quoted(v.snmpName));
    const sorry = v.sorryServer;
    if (sorry) {
      w.line('sorry_server', sorry.address, sorry.port);
      w.flag('sorry_server_inhibit', sorry.inhibitOnFailure);
      w.line('sorry_server_lvs_method', forwardingText(sorry.forwarding));
    }
    for (const r of v.realServers) realServer(w, r);
  });
}

function realServer(w: Writer, r: RealServer): void {
  w.block(`real_server ${r.address}${r.port === undefined ? '' : ` ${r.port}`}`, () => {
    w.line('weight', r.weight);
    w.line('lvs_method', forwardingText(r.forwarding));
    w.maybe('uthreshold', r.upperThreshold);
    w.maybe('lthreshold', r.lowerThreshold);
    w.bool('inhibit_on_failure', r.inhibitOnFailure);
    w.bool('alpha', r.alpha);
    w.script('notify_up', r.notifyUp);
    w.script('notify_down', r.notifyDown);
    w.bool('smtp_alert', r.smtpAlert);
    w.maybe('snmp_name', r.snmpName === undefined ? undefined : quoted(r.snmpName));
    for (const c of r.checkers) checker(w, c);
  });
}

function timing(w: Writer, t: CheckTiming): void {
  w.line('delay_loop', secondsText(t.interval));
  w.line('retry', t.retry);
  w.line('delay_before_retry', secondsText(t.retryDelay));
  w.line('warmup', secondsText(t.warmup));
  w.bool('alpha', t.alpha);
  w.bool('log_all_failures', t.logAllFailures);
}
function connection(w: Writer, c: CheckConnection): void {
  w.line('connect_ip', c.address);
  w.maybe('connect_port', c.port);
  w.maybe('bindto', c.bindAddress);
  w.maybe('bind_if', c.bindInterface === undefined ? undefined : quoted(c.bindInterface));
  w.maybe('bind_port', c.bindPort);
  w.line('connect_timeout', secondsText(c.timeout));
  w.maybe('fwmark', c.fwmark);
}
function url(w: Writer, u: UrlCheck): void {
  w.block('url', () => {
    w.line('path', quoted(u.path));
    w.line('status_code', ...u.statusCodes.map((s) => (s.from === s.to ? s.from : `${s.from}-${s.to}`)));
    w.maybe('digest', u.digest);
    w.maybe('virtualhost', u.virtualHost === undefined ? undefined : quoted(u.virtualHost));
    const r = u.regex;
    if (r) {
      w.line('regex', quoted(r.pattern));
      w.flag('regex_no_match', r.mustNotMatch);
      if (r.options.length > 0) w.line('regex_options', ...r.options);
      w.maybe('regex_min_offset', r.minOffset);
      w.maybe('regex_max_offset', r.maxOffset);
      if (r.stack) w.line('regex_stack', r.stack.start, r.stack.max);
    }
    w.bool('tls_compliant', u.tlsCompliant);
  });
}

function checker(w: Writer, c: Checker): void {
  switch (c.kind) {
    case 'http':
      w.block(c.tls ? 'SSL_GET' : 'HTTP_GET', () => {
        timing(w, c.timing);
        connection(w, c.connection);
        w.line('http_protocol', c.protocol);
        w.bool('fast_recovery', c.fastRecovery);
        w.flag('enable_sni', c.sni !== undefined);
        w.maybe('sni_name', c.sni?.name === undefined ? undefined : quoted(c.sni.name));
        for (const u of c.urls) url(w, u);
      });
      break;
    case 'tcp':
    case 'ping':
      w.block(c.kind === 'tcp' ? 'TCP_CHECK' : 'PING_CHECK', () => {
        timing(w, c.timing);
        connection(w, c.connection);
      });
      break;
    case 'smtp':
      w.block('SMTP_CHECK', () => {
        timing(w, c.timing);
        w.line('helo_name', quoted(c.helo));
        for (const h of c.hosts) w.block('host', () => connection(w, h));
      });
      break;
    case 'dns':
      w.block('DNS_CHECK', () => {
        timing(w, c.timing);
        connection(w, c.connection);
        w.line('type', c.type);
        w.line('name', quoted(c.name));
      });
      break;
    case 'udp':
      w.block('UDP_CHECK', () => {
        timing(w, c.timing);
        connection(w, c.connection);
        w.maybe('payload', c.payload);
        if (c.reply) {
          w.line('require_reply', c.reply.pattern);
          w.line('min_reply_length', c.reply.minLength);
          w.line('max_reply_length', c.reply.maxLength);
        }
      });
      break;
    case 'misc':
      w.block('MISC_CHECK', () => {
        timing(w, c.timing);
        w.line('misc_path', scriptText(c.script));
        w.line('misc_timeout', secondsText(c.timeout));
        w.flag('misc_dynamic', c.dynamic);
      });
      break;
    case 'bfd':
      w.block('BFD_CHECK', () => {
        w.line('name', quoted(c.session));
        w.bool('alpha', c.alpha);
      });
      break;
    case 'file':
      w.block('FILE_CHECK', () => {
        w.line('track_file', quoted(c.file));
        w.line('weight', c.weight.value, c.weight.reverse ? 'reverse' : undefined);
      });
      break;
  }
}
