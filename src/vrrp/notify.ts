/** What scripts, FIFOs and mail are told: keepalived's words, so that its users' scripts go on working. Pure. */
import type { Instance, Script, SyncGroup, VrrpConfig } from './config.ts';
import type { Because, NotifyWord } from './types.ts';

export type Notification = {
  readonly of: 'INSTANCE' | 'GROUP';
  readonly name: string;
  readonly word: NotifyWord;
  /** Effective priority; 0 for a group. */
  readonly priority: number;
  /** To be started in this order, arguments complete. They run at the same time; who needs the order reads the FIFO. */
  readonly scripts: readonly Script[];
  /** The line for every VRRP FIFO, with its newline. */
  readonly fifo: string;
  /** The subject of the mail to send; undefined: none. */
  readonly mail: string | undefined;
  readonly because: Because | undefined;
};

const MAILED: Readonly<Partial<Record<NotifyWord, string>>> = {
  MASTER: 'Entering MASTER state',
  BACKUP: 'Entering BACKUP state',
  FAULT: 'Entering FAULT state',
};
const specific = (n: Instance['notify'], word: NotifyWord): Script | undefined => {
  switch (word) {
    case 'MASTER':
      return n.master;
    case 'BACKUP':
      return n.backup;
    case 'FAULT':
      return n.fault;
    case 'STOP':
      return n.stop;
    case 'DELETED':
      return n.deleted;
    case 'MASTER_RX_LOWER_PRI':
      return n.masterRxLowerPri;
    default:
      return undefined;
  }
};
/** `notify` scripts are told of states, not of rivals or priorities. */
const forAny = (word: NotifyWord): boolean =>
  word === 'MASTER' || word === 'BACKUP' || word === 'FAULT' || word === 'STOP' || word === 'DELETED';

function notification(
  of: Notification['of'],
  what: { readonly name: string; readonly notify: Instance['notify']; readonly smtpAlert: boolean },
  word: NotifyWord,
  priority: number,
  because: Because | undefined,
  config: Pick<VrrpConfig, 'routerId' | 'mail'>,
): Notification {
  const own = specific(what.notify, word);
  const any = what.notify.any;
  const withState: Script | undefined =
    any && forAny(word) ? { ...any, argv: [...any.argv, of, what.name, word, String(priority)] } : undefined;
  const words = MAILED[word];
  const wanted = what.smtpAlert && words !== undefined && config.mail.to.length > 0;
  return {
    of,
    name: what.name,
    word,
    priority,
    scripts: [own, withState].filter((s) => s !== undefined),
    fifo: `${of} "${what.name}" ${word} ${priority}\n`,
    mail:
      wanted && (word !== 'FAULT' || config.mail.onFault)
        ? `[${config.routerId}] VRRP ${of === 'GROUP' ? 'Group' : 'Instance'} ${what.name} - ${words}`
        : undefined,
    because,
  };
}

export const instanceNotification = (
  i: Instance,
  word: NotifyWord,
  priority: number,
  because: Because | undefined,
  config: Pick<VrrpConfig, 'routerId' | 'mail'>,
): Notification => notification('INSTANCE', i, word, priority, because, config);

export const groupNotification = (
  g: SyncGroup,
  word: NotifyWord,
  because: Because | undefined,
  config: Pick<VrrpConfig, 'routerId' | 'mail'>,
): Notification => notification('GROUP', g, word, 0, because, config);
