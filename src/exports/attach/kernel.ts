/** The kernel's NBD client, spoken to by netlink. It moves the data itself; this side makes the connections. */
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import type { HostError, Netlink, NetlinkChannel } from '../../host/index.ts';
import {
  decodeGenericFamily,
  decodeNbdDevice,
  GENL_ID_CTRL,
  NBD_GENL_CMD,
  NBD_GENL_FAMILY,
  type NbdSetup,
  writeFamilyRequest,
  writeNbdDevice,
  writeNbdSetup,
} from '../../wire/index.ts';

export class KernelNbd {
  readonly #channel: NetlinkChannel;
  readonly #family: number;

  private constructor(channel: NetlinkChannel, family: number) {
    this.#channel = channel;
    this.#family = family;
  }
  /** ENOENT where the module is not loaded. */
  static open(netlink: Netlink): Result<KernelNbd, HostError> {
    const opened = netlink.open('generic');
    if (!opened.ok) return opened;
    const doing = text('find the nbd module in this kernel', '在内核中查找 nbd 模块');
    const request = {
      type: GENL_ID_CTRL,
      flags: 0,
      write: (w: Parameters<typeof writeFamilyRequest>[0]) => writeFamilyRequest(w, NBD_GENL_FAMILY),
    };
    const answer = opened.value.ask(request, doing);
    const family = answer.ok ? decodeGenericFamily(answer.value[0]?.payload ?? new Uint8Array(0)) : answer;
    if (family.ok) return ok(new KernelNbd(opened.value, family.value.id));
    opened.value.close();
    return err('code' in family.error ? family.error : { code: 'EBADMSG', doing });
  }
  /** The number of the device that now is: N of /dev/nbdN. */
  connect(setup: NbdSetup): Result<number, HostError> {
    const doing = text('connect a device of the nbd module', '连接 nbd 模块的设备');
    const answer = this.#channel.ask(
      { type: this.#family, flags: 0, write: (w) => writeNbdSetup(w, { command: NBD_GENL_CMD.connect, setup }) },
      doing,
    );
    if (!answer.ok) return answer;
    const device = decodeNbdDevice(answer.value[0]?.payload ?? new Uint8Array(0));
    return device.ok && device.value.index !== undefined ? ok(device.value.index) : err({ code: 'EBADMSG', doing });
  }
  /** ENOSPC: none of its sockets is dead. EINVAL: it is not connected any more, or is another's. */
  reconnect(setup: NbdSetup): Result<void, HostError> {
    const doing = text(`give /dev/nbd${setup.index} a new connection`, `为 /dev/nbd${setup.index} 更换连接`);
    return this.#act((w) => writeNbdSetup(w, { command: NBD_GENL_CMD.reconfigure, setup }), doing);
  }
  /** What is in flight fails. */
  disconnect(index: number): Result<void, HostError> {
    const doing = text(`disconnect /dev/nbd${index}`, `断开 /dev/nbd${index}`);
    return this.#act((w) => writeNbdDevice(w, { command: NBD_GENL_CMD.disconnect, index }), doing);
  }
  #act(write: (w: Parameters<typeof writeNbdDevice>[0]) => void, doing: Text): Result<void, HostError> {
    const [outcome] = this.#channel.transact([{ type: this.#family, flags: 0, write }]);
    if (outcome === undefined || outcome.errno === 0) return ok(undefined);
    const words = outcome.message === undefined ? '' : ` (${outcome.message})`;
    const code = ERRNO[outcome.errno] ?? `errno ${outcome.errno}`;
    return err({ code, doing: text(`${doing.en}${words}`, `${doing.zh}${words}`) });
  }
  close(): void {
    this.#channel.close();
  }
}
const ERRNO: Readonly<Record<number, string>> = { 1: 'EPERM', 16: 'EBUSY', 19: 'ENODEV', 22: 'EINVAL', 28: 'ENOSPC' };
