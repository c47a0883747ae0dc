/** The document as Prometheus reads it (text exposition format 0.0.4). Pure. */
import type { LbCounters, LbDocument, LbServer, LbService } from '../../api/index.ts';

type Labels = Readonly<Record<string, string>>;
type Sample = { readonly labels: Labels; readonly value: number };

const escapeLabel = (s: string): string => s.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
function family(name: string, type: 'gauge' | 'counter', help: string, samples: readonly Sample[]): string[] {
  if (samples.length === 0) return [];
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(({ labels, value }) => {
      const words = Object.entries(labels).map(([k, v]) => `${k}="${escapeLabel(v)}"`);
      return `${name}${words.length > 0 ? `{${words.join(',')}}` : ''} ${value}`;
    }),
  ];
}
const flag = (b: boolean): number => (b ? 1 : 0);

const COUNTERS: readonly (readonly [string, keyof LbCounters, string])[] = [
  ['connections_total', 'connections', 'Connections that the server was given.'],
  ['packets_in_total', 'packetsIn', 'Packets from clients.'],
  ['packets_out_total', 'packetsOut', 'Packets to clients, where the plane sees them.'],
  ['bytes_in_total', 'bytesIn', 'Bytes from clients.'],
  ['bytes_out_total', 'bytesOut', 'Bytes to clients, where the plane sees them.'],
];
const NOW: typeof COUNTERS = [
  ['connections_active', 'active', 'Established connections, as exactly as the plane knows.'],
  ['connections_inactive', 'inactive', 'Connections that open or close.'],
];

export function metrics(d: LbDocument): string {
  const services = (value: (s: LbService) => number): Sample[] =>
    d.services.map((s) => ({ labels: { service: s.key }, value: value(s) }));
  const servers = (value: (x: LbServer) => number | undefined): Sample[] =>
    d.services.flatMap((s) =>
      s.servers.flatMap((x) => {
        const v = value(x);
        return v === undefined ? [] : [{ labels: { service: s.key, server: x.key, role: x.role }, value: v }];
      }),
    );
  const out = [
    ...family(
      'holdfast_lb_service_info',
      'gauge',
      'The plane and the scheduler of a service.',
      d.services.map((s) => ({
        labels: { service: s.key, plane: s.plane ?? 'none', scheduler: s.scheduler },
        value: 1,
      })),
    ),
    ...family(
      'holdfast_lb_service_carried',
      'gauge',
      'Whether a plane carries the service and the kernel has all of it.',
      services((s) => flag(s.plane !== undefined && s.refused === undefined)),
    ),
    ...family(
      'holdfast_lb_service_quorum',
      'gauge',
      'Whether the quorum is there.',
      services((s) => flag(s.quorum.up)),
    ),
    ...family(
      'holdfast_lb_service_weight',
      'gauge',
      'Sum of the weights that live.',
      services((s) => s.quorum.sum),
    ),
    ...family(
      'holdfast_lb_server_up',
      'gauge',
      'Whether the server serves.',
      servers((x) => flag(x.state === 'up')),
    ),
    ...family(
      'holdfast_lb_server_weight',
      'gauge',
      'Weight in the plane; absent: not in it.',
      servers((x) => x.planeWeight),
    ),
  ];
  for (const [name, key, help] of COUNTERS)
    out.push(
      ...family(
        `holdfast_lb_server_${name}`,
        'counter',
        help,
        servers((x) => x.counters?.[key]),
      ),
    );
  for (const [name, key, help] of NOW)
    out.push(
      ...family(
        `holdfast_lb_server_${name}`,
        'gauge',
        help,
        servers((x) => x.counters?.[key]),
      ),
    );
  const checks = d.services.flatMap((s) =>
    s.servers.flatMap((x) =>
      x.checks.map((c) => ({ labels: { service: s.key, server: x.key, check: c.name }, check: c })),
    ),
  );
  out.push(
    ...family(
      'holdfast_lb_check_up',
      'gauge',
      'Where a checker stands.',
      checks.map(({ labels, check }) => ({ labels, value: flag(check.verdict === 'up') })),
    ),
    ...family(
      'holdfast_lb_check_latency_seconds',
      'gauge',
      'How long the last attempt took.',
      checks.flatMap(({ labels, check }) =>
        check.latencyMs === undefined ? [] : [{ labels, value: check.latencyMs / 1000 }],
      ),
    ),
  );
  return `${out.join('\n')}\n`;
}
