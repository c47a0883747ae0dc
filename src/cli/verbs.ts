/** The verbs, once: dispatch and help come from here. Each loads only what it needs. */
import { languageOf, type Text, text } from '../base/index.ts';
import { version } from './version.ts';

export type Verb = {
  readonly name: string;
  readonly arguments: string;
  readonly help: Text;
  readonly run: (argv: readonly string[]) => Promise<number>;
};

export const VERBS: readonly Verb[] = [
  {
    name: 'keepalived',
    arguments: '[OPTION...]',
    help: text('stands in for keepalived; --help lists its options', '替代 keepalived；--help 列出其选项'),
    run: async (argv) => (await import('../daemon/index.ts')).runKeepalived(argv, version()),
  },
  {
    name: 'ldirectord',
    arguments: 'FILE [-t] [OPTION...]',
    help: text('stands in for ldirectord; -t checks the file', '替代 ldirectord；-t 检查文件'),
    run: async (argv) => (await import('../daemon/index.ts')).runLdirectord(argv, version()),
  },
  {
    name: 'export',
    arguments: '[NAME=]FILE... [OPTION...]',
    help: text(
      'offers files and block devices over NBD; --help lists its options',
      '通过 NBD 导出文件与块设备；--help 列出其选项',
    ),
    run: async (argv) => (await import('../daemon/index.ts')).runExport(argv),
  },
  {
    name: 'attach',
    arguments: 'NAME --socket PATH [OPTION...]',
    help: text('makes an NBD export the device /dev/holdfast/NAME', '将 NBD 导出变为设备 /dev/holdfast/NAME'),
    run: async (argv) => (await import('../daemon/index.ts')).runAttach(argv),
  },
  {
    name: 'detach',
    arguments: 'NAME [--force]',
    help: text('takes such a device away again', '移除该设备'),
    run: async (argv) => (await import('../daemon/index.ts')).runDetach(argv),
  },
  {
    name: 'mirror',
    arguments: 'VERB [...]',
    help: text(
      'a replicated block device, peer of DRBD: create, run, status, primary, secondary, connect, disconnect',
      '复制块设备，可与 DRBD 互通：create、run、status、primary、secondary、connect、disconnect',
    ),
    run: async (argv) => (await import('../daemon/index.ts')).runMirror(argv),
  },
  {
    name: 'status',
    arguments: '[NAME...] [--json] [-p PIDFILE]',
    help: text('what runs, in which state, and what needs you', '运行情况、状态以及需要处理的事项'),
    run: async (argv) => (await import('./status.ts')).status(argv),
  },
  {
    name: 'explain',
    arguments: 'NAME [--json] [-p PIDFILE]',
    help: text('why an instance is in its state, and how it came there', '实例为何处于当前状态，以及经过'),
    run: async (argv) => (await import('./explain.ts')).explain(argv),
  },
  {
    name: 'lb',
    arguments: 'VERB [...]',
    help: text(
      'virtual servers: status, check, drain, weight, top, metrics',
      '虚拟服务器：状态、检查、排空、权重、实时、指标',
    ),
    run: async (argv) => (await import('./lb/index.ts')).lb(argv),
  },
  {
    name: 'ipvsadm',
    arguments: '-Ln [--stats|--rate]',
    help: text('the same tables as ipvsadm prints', '与 ipvsadm 相同的列表'),
    run: async (argv) => (await import('./lb/index.ts')).lb(['ipvsadm', ...argv]),
  },
  {
    name: 'realserver',
    arguments: 'VIP... [OPTION...]',
    help: text(
      'makes this machine a real server of DR or TUN; --help lists its options',
      '使本机成为 DR 或 TUN 的真实服务器；--help 列出其选项',
    ),
    run: async (argv) => (await import('../daemon/index.ts')).runRealServer(argv),
  },
  {
    name: 'mirror',
    arguments: 'VERB [NAME...]',
    help: text(
      'replicated disks: status, create, up, primary, verify, resize and more',
      '复制磁盘：状态、创建、启动、提升为主、校验、调整大小等',
    ),
    run: async (argv) => (await import('./mirror/index.ts')).mirror(argv),
  },
  {
    name: 'drbdadm',
    arguments: 'VERB [RESOURCE...]',
    help: text('the verbs and the output of drbdadm', '与 drbdadm 相同的命令和输出'),
    run: async (argv) => (await import('./mirror/index.ts')).drbdadm(argv),
  },
  {
    name: 'drbdsetup',
    arguments: 'VERB [RESOURCE|MINOR...]',
    help: text('the verbs and the output of drbdsetup', '与 drbdsetup 相同的命令和输出'),
    run: async (argv) => (await import('./mirror/index.ts')).drbdsetup(argv),
  },
  {
    name: 'check',
    arguments: 'FILE [--host NAME] [--json]',
    help: text(
      'what is wrong with a holdfast.yaml, drbd.conf or keepalived.conf',
      '检查 holdfast.yaml、drbd.conf 或 keepalived.conf',
    ),
    run: async (argv) => (await import('./check.ts')).check(argv),
  },
  {
    name: 'config',
    arguments: 'schema',
    help: text('JSON Schema of holdfast.yaml, for editors', 'holdfast.yaml 的 JSON Schema，供编辑器使用'),
    run: async (argv) => (await import('./config.ts')).config(argv),
  },
  {
    name: 'wire',
    arguments: 'decode FILE [--json]',
    help: text('what a capture says: VRRP, BFD, ARP, NDP, DRBD, NBD', '解读抓包文件：VRRP、BFD、ARP、NDP、DRBD、NBD'),
    run: async (argv) => (await import('./wire.ts')).wire(argv),
  },
  {
    name: 'version',
    arguments: '',
    help: text('the version', '版本'),
    run: async () => {
      process.stdout.write(`Holdfast ${version()}\n`);
      return 0;
    },
  },
  {
    name: 'help',
    arguments: '',
    help: text('this help', '本帮助'),
    run: async () => {
      process.stdout.write(helpText());
      return 0;
    },
  },
];

export function helpText(): string {
  const language = languageOf(process.env);
  const usage = text('Usage: holdfast VERB [...]', '用法：holdfast 命令 [...]');
  const options = text(
    'Messages are in English or Chinese: --lang, HOLDFAST_LANG, LANG.',
    '消息语言为英文或中文：--lang、HOLDFAST_LANG、LANG。',
  );
  const width = Math.max(...VERBS.map((v) => v.name.length + v.arguments.length + 1));
  const lines = VERBS.map((v) => `  ${`${v.name} ${v.arguments}`.padEnd(width)}  ${v.help[language]}`);
  return `${usage[language]}\n\n${lines.join('\n')}\n\n${options[language]}\n`;
}
