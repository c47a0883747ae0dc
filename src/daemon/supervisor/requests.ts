/** What the control socket of the supervisor is asked. */
import type { ControlRequest } from '../../api/index.ts';
import { err, ok, type Result } from '../../base/index.ts';
import { requestObject } from '../control-socket.ts';

export function parseRequest(line: string): Result<ControlRequest, string> {
  const got = requestObject(line);
  if (!got.ok) return got;
  const q = got.value;
  switch (q['ask']) {
    case 'status':
    case 'statistics':
    case 'lb':
      return ok({ ask: q['ask'] });
    case 'lb-drain':
    case 'lb-weight':
      return parseOrder(q['ask'], q);
    default:
      return err('unknown request');
  }
}

/** What the director does not know or cannot do it refuses itself. */
function parseOrder(
  ask: 'lb-drain' | 'lb-weight',
  { service, server, force, on, forMs, weight }: Readonly<Record<string, unknown>>,
): Result<ControlRequest, string> {
  if (typeof service !== 'string' || typeof server !== 'string') return err(`${ask} needs a service and a server`);
  const who = { service, server, ...(force === true ? { force } : {}) };
  const number = (x: unknown): x is number => typeof x === 'number' && Number.isFinite(x) && x >= 0;
  if (ask === 'lb-weight') {
    if (weight !== undefined && !number(weight)) return err('weight is not a number');
    return ok({ ask, ...who, ...(weight === undefined ? {} : { weight }) });
  }
  if (typeof on !== 'boolean') return err('lb-drain needs on: true or false');
  if (forMs !== undefined && !number(forMs)) return err('forMs is not a number');
  return ok({ ask, ...who, on, ...(forMs === undefined ? {} : { forMs }) });
}
