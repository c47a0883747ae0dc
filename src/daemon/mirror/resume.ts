/**
 * A mirror process that died as primary, and whose device is still held: the role is taken up again, since requests wait.
 *
 * The host never ceased to be primary: nobody may have promoted the other one without having cut this one off, as with a
 * primary whose line is cut. All the same the peer is asked first, and where it is primary, requests go on waiting.
 */
import { type Text, text } from '../../base/index.ts';
import type { MirrorAnswer, MirrorStatus } from '../../mirror/index.ts';

/** A peer that is there is connected in this time. Milliseconds. */
const PATIENCE_MS = 5000;
const AGAIN_MS = 200;
const COMES_BACK: ReadonlySet<MirrorStatus['connection']> = new Set(['WFConnection', 'Unconnected', 'WFReportParams']);

/** Whether to ask for the role now. `waited`: milliseconds since the start. */
export function resumeNow(s: MirrorStatus, waited: number): boolean {
  if (s.volumes.some((v) => v.peerRole === 'Primary')) return false;
  return !COMES_BACK.has(s.connection) || waited >= PATIENCE_MS;
}
export function resume(
  m: {
    readonly status: () => MirrorStatus;
    readonly promote: (then: (a: MirrorAnswer) => void) => void;
    readonly say: (t: Text) => void;
  },
  done: () => void,
): void {
  const began = performance.now();
  let last = '';
  const tell = (t: Text): void => {
    if (t.en !== last) m.say(t);
    last = t.en;
  };
  const look = (): void => {
    const again = (): void => void setTimeout(look, AGAIN_MS);
    const s = m.status();
    if (s.role === 'Primary') {
      done();
      return;
    }
    if (!resumeNow(s, performance.now() - began)) {
      if (s.volumes.some((v) => v.peerRole === 'Primary'))
        tell(
          text(
            `${s.name}: requests of this host wait, since ${s.peer} is primary now: holdfast detach ${s.name} --force gives them up`,
            `${s.name}：${s.peer} 现为主节点，本机的请求继续等待；holdfast detach ${s.name} --force 可放弃它们`,
          ),
        );
      again();
      return;
    }
    m.promote((a) => {
      if (a.ok) {
        done();
        return;
      }
      tell(text(`${s.name}: requests wait: ${a.text.en}`, `${s.name}：请求等待中：${a.text.zh}`));
      again();
    });
  };
  look();
}
