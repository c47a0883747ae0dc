/** The command lines of `holdfast attach` and `holdfast detach`. */
import { parseArgs } from 'node:util';
import { err, ok, type Result, type Text, text, verbatim } from '../../../base/index.ts';
import { isDeviceName, type Way } from '../../../exports/index.ts';
import type { StreamAddress } from '../../../host/index.ts';
import { parseAddress } from '../options.ts';

export type Folders = {
  /** Where the names of devices are. */
  readonly devices: string;
  /** What is attached, and the sockets between. */
  readonly run: string;
};
export const DEVICE_FOLDERS: Folders = { devices: '/dev/holdfast', run: '/run/holdfast/attach' };
const { devices: DEVICES, run: RUN } = DEVICE_FOLDERS;

export type AttachCommand = {
  readonly name: string;
  readonly exportName: string;
  readonly address: StreamAddress;
  readonly way: 'auto' | Way;
  readonly folders: Folders;
};
export type DetachCommand = { readonly name: string; readonly force: boolean; readonly folders: Folders };

export const attachHelp: Text = text(
  `Usage: holdfast attach NAME (--socket PATH | --connect ADDRESS:PORT) [OPTION...]
Makes an NBD export the block device /dev/holdfast/NAME, and stays to connect again whenever the server was away:
requests wait for it, and do not fail.

  --export EXPORT   its name at the server; NAME unless said
  --way auto|kernel|fuse
                    kernel: the nbd module. fuse: nbdfuse (Debian: libnbd-bin) and a loop device. auto: the first that is here
  --devices DIR     where the device's name is made; ${DEVICES}
  --run DIR         what is attached is written there; ${RUN}
SIGTERM and SIGINT detach. A device that is in use is not detached; through the kernel it stays attached without this process.`,
  `用法：holdfast attach NAME (--socket PATH | --connect ADDRESS:PORT) [选项...]
将 NBD 导出变为块设备 /dev/holdfast/NAME，并驻留以便服务器离开后重新连接：
请求会等待，而不会失败。

  --export EXPORT   服务器上的导出名；默认为 NAME
  --way auto|kernel|fuse
                    kernel：nbd 模块。fuse：nbdfuse（Debian：libnbd-bin）与 loop 设备。auto：采用首个可用者
  --devices DIR     设备名所在目录；${DEVICES}
  --run DIR         挂接状态所在目录；${RUN}
SIGTERM 与 SIGINT 断开设备。正在使用的设备不会被断开；经由内核挂接时，设备在本进程退出后仍保持挂接。`,
);
export const detachHelp: Text = text(
  `Usage: holdfast detach NAME [--force] [--devices DIR] [--run DIR]
Takes away a device that holdfast attach made. One that is in use is named, and stays; with --force it goes, and what uses it
gets errors.`,
  `用法：holdfast detach NAME [--force] [--devices DIR] [--run DIR]
移除 holdfast attach 建立的设备。正在使用的设备会被说明并保留；--force 则强制移除，使用者将收到错误。`,
);

function words<T extends Record<string, { readonly type: 'string' | 'boolean' }>>(argv: readonly string[], options: T) {
  try {
    return ok(
      parseArgs({
        args: [...argv],
        allowPositionals: true,
        options: {
          ...options,
          devices: { type: 'string' },
          run: { type: 'string' },
          lang: { type: 'string' },
          help: { type: 'boolean' },
        } as const,
      }),
    );
  } catch (e) {
    return err(verbatim(e instanceof Error ? e.message : String(e)));
  }
}
function named(positionals: readonly string[]): Result<string, Text> {
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0) return err(text('one NAME is wanted', '需要一个 NAME'));
  if (isDeviceName(name)) return ok(name);
  return err(
    text(
      `${name} is no name for a device: letters, digits, _ . - and at most 64`,
      `${name} 不能作为设备名：仅限字母、数字、_ . -，最多 64 个`,
    ),
  );
}

/** Undefined: help was asked for. */
export function parseAttach(argv: readonly string[]): Result<AttachCommand | undefined, Text> {
  const parsed = words(argv, {
    socket: { type: 'string' },
    connect: { type: 'string' },
    export: { type: 'string' },
    way: { type: 'string' },
  });
  if (!parsed.ok) return parsed;
  const { values: v, positionals } = parsed.value;
  if (v.help === true) return ok(undefined);
  const name = named(positionals);
  if (!name.ok) return name;
  if ((v.socket === undefined) === (v.connect === undefined))
    return err(text('one of --socket and --connect is wanted', '需要 --socket 与 --connect 之一'));
  const address: StreamAddress | undefined =
    v.socket === undefined ? parseAddress(v.connect ?? '') : { kind: 'unix', path: v.socket };
  if (address === undefined) return err(text(`${v.connect} is no ADDRESS:PORT`, `${v.connect} 不是 ADDRESS:PORT`));
  const way = (['auto', 'kernel', 'fuse'] as const).find((w) => w === (v.way ?? 'auto'));
  if (way === undefined) return err(text('--way is auto, kernel or fuse', '--way 应为 auto、kernel 或 fuse'));
  return ok({
    name: name.value,
    exportName: v.export ?? name.value,
    address,
    way,
    folders: { devices: v.devices ?? DEVICES, run: v.run ?? RUN },
  });
}
export function parseDetach(argv: readonly string[]): Result<DetachCommand | undefined, Text> {
  const parsed = words(argv, { force: { type: 'boolean' } });
  if (!parsed.ok) return parsed;
  const { values: v, positionals } = parsed.value;
  if (v.help === true) return ok(undefined);
  const name = named(positionals);
  if (!name.ok) return name;
  const folders = { devices: v.devices ?? DEVICES, run: v.run ?? RUN };
  return ok({ name: name.value, force: v.force === true, folders });
}
