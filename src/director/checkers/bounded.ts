/**
 * A match that ends. JavaScript has no limit on backtracking: `^(a+)+$` on forty letters, sent by whoever owns a real
 * server, would hold all other checkers for ever. PCRE2 gives up by itself (its match limit), and so keepalived does.
 */
import { createContext, Script } from 'node:vm';

/** In milliseconds, of this process's time: thousands of times what an honest match takes. */
export const MATCH_WITHIN = 100;

/** Nothing in it can be repeated or chosen: it costs no more than its length for each character. */
export const cannotBacktrack = (source: string): boolean => /^(?:\\[^1-9]|[^\\()[\]{}|*+?])*$/.test(source);

const room: { match: () => RegExpExecArray | null } = { match: () => null };
const context = createContext(room);
const call = new Script('match()');

/** Undefined: it took too long. */
export function execWithin(expression: RegExp, subject: string): RegExpExecArray | null | undefined {
  if (cannotBacktrack(expression.source)) return expression.exec(subject);
  room.match = () => expression.exec(subject);
  try {
    return call.runInContext(context, { timeout: MATCH_WITHIN }) as RegExpExecArray | null;
  } catch (e) {
    if ((e as { code?: unknown }).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
    throw e;
  } finally {
    room.match = () => null;
  }
}
