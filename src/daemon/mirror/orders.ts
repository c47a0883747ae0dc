/**
 * What is asked of a mirror that has devices, in the order that keeps them right: they are made after the promotion, and
 * taken away before the demotion, which is refused while somebody uses one.
 */
import { type Text, text } from '../../base/index.ts';
import type { MirrorAnswer, MirrorRequest } from '../../mirror/index.ts';
import type { Devices } from './devices.ts';
import type { ExportNames } from './names.ts';
import type { Offered } from './offered.ts';
import type { MirrorProcess } from './process.ts';

/** A client that has just left may not be gone yet. */
const LEAVING_MS = 500;
const LOOK_MS = 20;

export type Parts = {
  readonly name: string;
  readonly mirror: MirrorProcess;
  readonly offered: Offered;
  /** Undefined: clients come over NBD alone. */
  readonly devices: Devices | undefined;
  readonly names: ExportNames;
  /** It was asked to end, and nothing is left of it but the process. */
  readonly down: () => void;
};

export function order(p: Parts, request: MirrorRequest, reply: (a: MirrorAnswer) => void): void {
  const { mirror, devices } = p;
  switch (request.verb) {
    case 'primary':
      mirror.ask(request, (a) => {
        if (!a.ok || devices === undefined) return reply(a);
        devices.attach(ofPrimaries(p), (failed) => reply(failed === undefined ? a : withoutDevice(p.name, failed)));
      });
      return;
    case 'secondary':
      release(p, (refused) => {
        if (refused !== undefined) return reply(refused);
        mirror.ask(request, (a) => {
          // Still primary: then its device is to be there.
          if (!a.ok && mirror.primary && devices !== undefined) devices.attach(ofPrimaries(p), () => reply(a));
          else reply(a);
        });
      });
      return;
    case 'down':
      release(p, (refused) => {
        if (refused !== undefined) return reply(refused);
        mirror.ask(request, (a) => {
          reply(a);
          if (a.ok) p.down();
        });
      });
      return;
    default:
      mirror.ask(request, reply);
  }
}
const ofPrimaries = ({ mirror, names }: Parts): readonly string[] =>
  mirror.status().volumes.flatMap((v) => (v.role === 'Primary' ? [names.of(v.volume)] : []));
const withoutDevice = (name: string, failed: Text): MirrorAnswer => ({
  ok: true,
  changed: true,
  text: text(
    `${name} is primary, and has no device here: ${failed.en}`,
    `${name} 已成为主节点，但本机没有设备：${failed.zh}`,
  ),
});

/** The devices go, where nobody uses them, and no client is left. */
function release(p: Parts, done: (refused: MirrorAnswer | undefined) => void): void {
  const inUse = (words: Text): void => done({ ok: false, code: 'device-in-use', text: words });
  const withoutClients = (): void => {
    const began = performance.now();
    const look = (): void => {
      const { clients } = p.offered;
      if (clients.length === 0) done(undefined);
      else if (performance.now() - began < LEAVING_MS) setTimeout(look, LOOK_MS);
      else
        inUse(
          text(
            `${p.name} is in use over NBD by ${clients.join(', ')}: end that first`,
            `${p.name} 正在通过 NBD 被 ${clients.join('、')} 使用：请先结束`,
          ),
        );
    };
    look();
  };
  if (p.devices === undefined) withoutClients();
  else p.devices.detach((refused) => (refused === undefined ? withoutClients() : inUse(refused)));
}
