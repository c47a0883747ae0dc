/** The command line of `holdfast realserver`. */
import { parseArgs } from 'node:util';
import { err, type IpAddress, ok, parseIp, type Result, type Text, text, verbatim } from '../../base/index.ts';
import type { Tunnel } from '../../director/index.ts';

const REAL_SERVER_STATE = '/run/holdfast-realserver';
const GUE_PORT = 6080;

export type RealServerCommand = {
  readonly vips: readonly IpAddress[];
  /** Undefined: DR. */
  readonly tunnel: Tunnel | undefined;
  readonly guePort: number;
  readonly interfaces: readonly string[] | undefined;
  readonly state: string;
  /** Ends at once / when it is told to, undoes / leaves what is there, or only says how. */
  readonly mode: 'stay-and-undo' | 'stay-and-keep' | 'once' | 'undo' | 'print';
};

export const realServerHelp: Text = text(
  `Usage: holdfast realserver VIP... [OPTION...]
Makes this machine a real server of DR, or of TUN with --tunnel: the virtual addresses on lo, where no ARP is answered for
them, and the end of tunnels. Runs until it is told to end, puts back what somebody takes away, and then undoes all of it.

  --tunnel ipip|gue|gre  packets come in a tunnel
  --gue-port N           UDP port of GUE; 6080
  --interface NAME       where tunnels come in; may be given again. Otherwise every Ethernet device that is up
  --keep                 leaves everything as it is when it ends; the next one takes it over
  --once                 does it, leaves it, and ends at once
  --undo                 undoes what an earlier one left; without VIP
  --state FILE           where it notes what it did: FILE.json and FILE.bpf; ${REAL_SERVER_STATE}
  --print-script         a shell script that does the same with the kernel's own tunnel devices; changes nothing
SIGTERM and SIGINT end it.`,
  `用法：holdfast realserver VIP... [选项...]
使本机成为 DR 的真实服务器；加 --tunnel 则用于 TUN：将虚拟地址置于 lo，不应答其 ARP，并解封隧道。
持续运行直至被要求结束；被他人移除的会恢复；结束时全部还原。

  --tunnel ipip|gue|gre  报文经隧道到达
  --gue-port N           GUE 的 UDP 端口；默认 6080
  --interface NAME       隧道的入口接口；可重复。默认为所有已启用的以太网接口
  --keep                 结束时保持现状，由下一个进程接管
  --once                 设置完毕即结束，并保持现状
  --undo                 还原先前进程留下的设置；不带 VIP
  --state FILE           记录所作更改：FILE.json 与 FILE.bpf；默认 ${REAL_SERVER_STATE}
  --print-script         输出以内核自带隧道设备完成同样设置的脚本；不作任何更改
SIGTERM 与 SIGINT 结束运行。`,
);

function words(argv: readonly string[]) {
  try {
    return ok(
      parseArgs({
        args: [...argv],
        allowPositionals: true,
        options: {
          tunnel: { type: 'string' },
          'gue-port': { type: 'string' },
          interface: { type: 'string', multiple: true },
          keep: { type: 'boolean' },
          once: { type: 'boolean' },
          undo: { type: 'boolean' },
          state: { type: 'string' },
          'print-script': { type: 'boolean' },
          lang: { type: 'string' },
          help: { type: 'boolean' },
        },
      }),
    );
  } catch (e) {
    return err(verbatim(e instanceof Error ? e.message : String(e)));
  }
}
const TUNNELS: readonly Tunnel[] = ['ipip', 'gue', 'gre'];

/** Undefined: help was asked for. */
export function parseRealServerCommand(argv: readonly string[]): Result<RealServerCommand | undefined, Text> {
  const parsed = words(argv);
  if (!parsed.ok) return parsed;
  const { values: v, positionals } = parsed.value;
  if (v.help) return ok(undefined);
  const vips: IpAddress[] = [];
  for (const p of positionals) {
    const address = parseIp(p);
    if (!address.ok) return err(text(`${p} is no address`, `${p} 不是地址`));
    if (!vips.includes(address.value)) vips.push(address.value);
  }
  if (vips.length === 0 && !v.undo) return err(text('no virtual address is named', '未给出虚拟地址'));
  if (vips.length > 0 && v.undo)
    return err(text('--undo undoes everything: name no address', '--undo 还原全部设置：请勿给出地址'));
  const tunnel = TUNNELS.find((t) => t === v.tunnel);
  if (v.tunnel !== undefined && !tunnel)
    return err(text('--tunnel is ipip, gue or gre', '--tunnel 应为 ipip、gue 或 gre'));
  if (v['gue-port'] !== undefined && tunnel !== 'gue')
    return err(text('--gue-port is of --tunnel gue', '--gue-port 仅用于 --tunnel gue'));
  const port = v['gue-port'] ?? String(GUE_PORT);
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535)
    return err(text('--gue-port is 1 to 65535', '--gue-port 应为 1 到 65535'));
  const modes = (['keep', 'once', 'undo', 'print-script'] as const).filter((m) => v[m]);
  if (modes.length > 1)
    return err(
      text(`--${modes[0]} and --${modes[1]} exclude each other`, `--${modes[0]} 与 --${modes[1]} 不能同时使用`),
    );
  const byOption = {
    none: 'stay-and-undo',
    keep: 'stay-and-keep',
    once: 'once',
    undo: 'undo',
    'print-script': 'print',
  } as const;
  return ok({
    vips,
    tunnel,
    guePort: Number(port),
    interfaces: v.interface,
    state: v.state ?? REAL_SERVER_STATE,
    mode: byOption[modes[0] ?? 'none'],
  });
}
