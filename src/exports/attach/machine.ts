/**
 * The life of an attached device, from the first connection to its end. Pure: the driver tells what happened, and does
 * what is answered.
 */
import { type Text, text, unreachable } from '../../base/index.ts';

export type Attachment =
  | { readonly is: 'connecting' }
  | { readonly is: 'attached'; readonly device: string; readonly server: 'there' | 'away' }
  | { readonly is: 'ended' };
export type AttachEvent =
  | { readonly kind: 'device'; readonly device: string }
  | { readonly kind: 'server-there' }
  | { readonly kind: 'server-away'; readonly why: Text }
  /** The device is gone, or cannot be made. */
  | { readonly kind: 'failed'; readonly why: Text }
  /** `uses`: by whom it is used at this moment. `leavable`: the kernel keeps the device without this process. */
  | { readonly kind: 'end'; readonly uses: Text | undefined; readonly force: boolean; readonly leavable: boolean };
export type AttachEffect =
  | { readonly kind: 'say'; readonly level: 'notice' | 'warning' | 'error'; readonly text: Text }
  | { readonly kind: 'publish'; readonly device: string }
  | { readonly kind: 'release' }
  | { readonly kind: 'exit'; readonly failed: boolean };
export type AttachStep = { readonly state: Attachment; readonly effects: readonly AttachEffect[] };

export const CONNECTING: Attachment = { is: 'connecting' };
const say = (level: 'notice' | 'warning' | 'error', t: Text): AttachEffect => ({ kind: 'say', level, text: t });

export function attachStep(name: string, state: Attachment, e: AttachEvent): AttachStep {
  if (state.is === 'ended') return { state, effects: [] };
  switch (e.kind) {
    case 'device':
      return {
        state: { is: 'attached', device: e.device, server: 'there' },
        effects: [{ kind: 'publish', device: e.device }],
      };
    case 'server-there':
      if (state.is !== 'attached' || state.server === 'there') return { state, effects: [] };
      return {
        state: { ...state, server: 'there' },
        effects: [say('notice', text(`${name}: the server is back`, `${name}：服务器已恢复`))],
      };
    case 'server-away': {
      const held = state.is === 'attached';
      const words = held
        ? text(`${name}: requests are held: ${e.why.en}`, `${name}：请求暂存等待：${e.why.zh}`)
        : text(`${name}: waiting for the server: ${e.why.en}`, `${name}：等待服务器：${e.why.zh}`);
      return { state: held ? { ...state, server: 'away' } : state, effects: [say('warning', words)] };
    }
    case 'failed':
      return {
        state: { is: 'ended' },
        effects: [say('error', e.why), { kind: 'release' }, { kind: 'exit', failed: true }],
      };
    case 'end':
      return end(name, state, e);
    default:
      return unreachable(e);
  }
}
/** What is in use stays, and that is said; by force it goes, and that is said too. */
function end(name: string, state: Attachment, e: AttachEvent & { readonly kind: 'end' }): AttachStep {
  const gone: AttachStep = { state: { is: 'ended' }, effects: [{ kind: 'release' }, { kind: 'exit', failed: false }] };
  if (state.is !== 'attached' || e.uses === undefined) return gone;
  if (e.force) {
    const words = text(
      `${name}: detached by force, what uses it gets errors: ${e.uses.en}`,
      `${name}：强制断开，使用者将收到错误：${e.uses.zh}`,
    );
    return { ...gone, effects: [say('warning', words), ...gone.effects] };
  }
  if (e.leavable) {
    const words = text(
      `${name} stays attached without this process, and nobody reconnects it: ${e.uses.en}, or attach it again`,
      `${name} 在本进程退出后保持挂接，但无人重连：${e.uses.zh}，或重新 attach`,
    );
    return { state: { is: 'ended' }, effects: [say('warning', words), { kind: 'exit', failed: false }] };
  }
  return { state, effects: [say('error', text(`not detached: ${e.uses.en}`, `未断开：${e.uses.zh}`))] };
}
