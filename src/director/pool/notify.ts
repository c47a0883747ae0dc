/** What scripts, FIFOs and mail are told of a decision: keepalived's words, so that its users' scripts go on working. Pure. */
import type { Text } from '../../base/index.ts';
import type { DirectorScript } from '../config.ts';
import type { ServerKey, ServiceKey } from '../types.ts';
import { describeDecision } from './describe.ts';
import { checkName, fifoServer, fifoService } from './names.ts';
import type { Decision, PoolConfig, PoolServer } from './types.ts';

export type PoolNotification = {
  /** `CHECK`: one checker turned; it is mailed and nothing else. */
  readonly of: 'VS' | 'RS' | 'CHECK';
  readonly service: ServiceKey;
  readonly server: ServerKey | undefined;
  readonly word: 'UP' | 'DOWN';
  /** As configured, no arguments added. */
  readonly script: DirectorScript | undefined;
  /** The line for every checker FIFO, with its newline; undefined: none. */
  readonly fifo: string | undefined;
  /** The subject comes behind `[router_id] `. Undefined: no mail. */
  readonly mail: { readonly subject: string; readonly body: string } | undefined;
  readonly because: Text;
};

/**
 * `c`: the configuration in which the server of the decision is (the old one for `gone`). `checkMails`: not with
 * no_checker_emails.
 */
export function notificationOf(
  c: PoolConfig,
  d: Decision,
  o: { readonly checkMails: boolean },
): PoolNotification | undefined {
  switch (d.do) {
    case 'server': {
      const p = find(c, d.server);
      if (!d.tell || !p) return undefined;
      const up = d.to === 'up';
      const stopping = d.because.why === 'stop';
      return ofServer(
        c,
        d,
        p,
        up,
        stopping ? 'Shutting down' : up ? 'CHECK succeed on service' : 'CHECK failed on service',
      );
    }
    case 'gone': {
      const p = find(c, d.server);
      return d.tell && p ? ofServer(c, d, p, false, 'Shutting down') : undefined;
    }
    case 'check': {
      const p = find(c, d.server);
      const checker = p?.checks.find((k) => k.id === d.check.id)?.checker;
      if (!o.checkMails || !p?.server.smtpAlert || !checker) return undefined;
      const up = d.check.verdict === 'up';
      const body = `=> ${checkName(checker)} check ${up ? 'succeed' : 'failed'} on service <=`;
      return {
        ...common(c, d, up),
        of: 'CHECK',
        server: p.key,
        script: undefined,
        fifo: undefined,
        mail: { subject: serverSubject(c, p, up), body },
      };
    }
    case 'quorum': {
      if (!d.tell) return undefined;
      const up = d.to === 'up';
      const { quorum, hysteresis, quorumUp, quorumDown, smtpAlert } = c.service;
      const sum = up
        ? `=> Gained quorum ${quorum}+${hysteresis}=${quorum + hysteresis} <= ${d.sum} <=`
        : `=> Lost quorum ${quorum}-${hysteresis}=${quorum - hysteresis} > ${d.sum} <=`;
      const subject = `Virtualserver ${fifoService(c.service)} - ${up ? 'UP' : 'DOWN'}`;
      return {
        ...common(c, d, up),
        of: 'VS',
        server: undefined,
        script: up ? quorumUp : quorumDown,
        fifo: `VS ${fifoService(c.service)} ${up ? 'UP' : 'DOWN'}\n`,
        mail: smtpAlert ? { subject, body: sum } : undefined,
      };
    }
    default:
      return undefined;
  }
}

const find = (c: PoolConfig, key: ServerKey): PoolServer | undefined => c.servers.find((p) => p.key === key);
const common = (c: PoolConfig, d: Decision, up: boolean): Pick<PoolNotification, 'service' | 'word' | 'because'> => ({
  service: c.key,
  word: up ? 'UP' : 'DOWN',
  because: describeDecision(c, d),
});
const serverSubject = (c: PoolConfig, p: PoolServer, up: boolean): string =>
  `Realserver ${fifoServer(c.service, p.server)} of virtual server ${fifoService(c.service)} - ${up ? 'UP' : 'DOWN'}`;

function ofServer(c: PoolConfig, d: Decision, p: PoolServer, up: boolean, words: string): PoolNotification {
  const { server } = p;
  const word = up ? 'UP' : 'DOWN';
  return {
    ...common(c, d, up),
    of: 'RS',
    server: p.key,
    script: up ? server.notifyUp : server.notifyDown,
    fifo: `RS ${fifoServer(c.service, server)} ${fifoService(c.service)} ${word}\n`,
    mail: server.smtpAlert ? { subject: serverSubject(c, p, up), body: `=> ${words} <=` } : undefined,
  };
}
