/** Messages as lines: for people, and as JSON. */
import type { CapturedMessage, FieldValue } from './types.ts';

/** A value with blanks or quotes, or none, stands in quotes. */
const value = (v: FieldValue): string => (typeof v === 'string' && !/^[^\s"=]+$/.test(v) ? JSON.stringify(v) : `${v}`);

/** `0.000123 192.0.2.1:7788 > 192.0.2.2:7788 DRBD P_STATE volume=0 ...`; seconds since `start`, microseconds since the epoch. */
export function renderMessage(m: CapturedMessage, start: number): string {
  const at = ((m.at - start) / 1_000_000).toFixed(6).padStart(12);
  const fields = m.fields.map(([name, v]) => ` ${name}=${value(v)}`).join('');
  return `${at} ${m.source} > ${m.destination} ${m.protocol} ${m.message}${fields}`;
}

/** One object, without a line end. `time` is in seconds since the epoch. */
export const renderJson = (m: CapturedMessage): string =>
  JSON.stringify({
    packet: m.packet,
    time: m.at / 1_000_000,
    source: m.source,
    destination: m.destination,
    protocol: m.protocol,
    message: m.message,
    fields: Object.fromEntries(m.fields),
  });
