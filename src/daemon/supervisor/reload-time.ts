/** `reload_time_file`: when a scheduled reload is due, written `[[YY]YY-MM-DD ]HH:MM:SS[Z]`. Pure. */
import { err, type Milliseconds, ms, ok, type Result } from '../../base/index.ts';

const FORM = /^\s*(?:(\d{2}|\d{4})-(\d{2})-(\d{2})\s+)?(\d{2}):(\d{2}):(\d{2})(Z?)\s*$/;

/**
 * The moment that the text names, after `now`: a time without a date is today's or, when that has passed, tomorrow's. With
 * Z it is UTC, otherwise local time. A date that has passed is refused.
 */
export function reloadTime(content: string, now: Milliseconds): Result<Milliseconds, 'malformed' | 'past'> {
  const m = FORM.exec(content);
  if (!m) return err('malformed');
  const [, year, month, day, hours, minutes, seconds, zulu] = m;
  const time = [Number(hours), Number(minutes), Number(seconds)] as const;
  if (time[0] > 23 || time[1] > 59 || time[2] > 59) return err('malformed');
  const utc = zulu === 'Z';
  const at = (y: number, mo: number, d: number): number =>
    utc ? Date.UTC(y, mo, d, ...time) : new Date(y, mo, d, ...time).getTime();
  if (year !== undefined) {
    const y = Number(year) + (year.length === 2 ? 2000 : 0);
    const [mo, d] = [Number(month) - 1, Number(day)];
    const check = new Date(Date.UTC(y, mo, d));
    if (check.getUTCMonth() !== mo || check.getUTCDate() !== d) return err('malformed');
    const due = at(y, mo, d);
    return due > now ? ok(ms(due)) : err('past');
  }
  const today = new Date(now);
  const [y, mo, d] = utc
    ? [today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate()]
    : [today.getFullYear(), today.getMonth(), today.getDate()];
  const due = at(y, mo, d);
  return ok(ms(due > now ? due : at(y, mo, d + 1)));
}
