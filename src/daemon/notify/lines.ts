/** What is told to scripts, FIFO readers and people, byte for byte as keepalived does. */

/** The states of the FIFO and of the fourth argument; the last three go to the FIFO only. */
export type NotifyState =
  | 'MASTER'
  | 'BACKUP'
  | 'FAULT'
  | 'STOP'
  | 'DELETED'
  | 'MASTER_RX_LOWER_PRI'
  | 'MASTER_PRIORITY'
  | 'BACKUP_PRIORITY';
export type Notification = {
  readonly subject: 'INSTANCE' | 'GROUP';
  readonly name: string;
  readonly state: NotifyState;
  /** Of an instance, effective; a group has none and says 0. */
  readonly priority: number;
};

/** `INSTANCE "VI_1" MASTER 100\n`; without the NUL that keepalived's checker lines carry. */
export const fifoLine = (n: Notification): string =>
  `${n.subject} "${n.name}" ${n.state} ${n.subject === 'GROUP' ? 0 : n.priority}\n`;

/** The four words that `notify` adds to its own arguments. */
export const notifyArguments = (n: Notification): readonly [string, string, string, string] => [
  n.subject,
  n.name,
  n.state,
  String(n.subject === 'GROUP' ? 0 : n.priority),
];

/** Subject and text of a mail; undefined for what keepalived sends none (measured with 2.2.7: MASTER, BACKUP and FAULT only). */
export function mailOf(
  n: Notification,
  routerId: string,
): { readonly subject: string; readonly text: string } | undefined {
  if (n.state !== 'MASTER' && n.state !== 'BACKUP' && n.state !== 'FAULT') return undefined;
  const kind = n.subject === 'GROUP' ? 'Group' : 'Instance';
  const fact =
    n.subject === 'GROUP'
      ? `All VRRP group instances are now in ${n.state} state`
      : `VRRP Instance is ${n.state === 'MASTER' ? 'now' : 'no longer'} owning VRRP VIPs`;
  return { subject: `[${routerId}] VRRP ${kind} ${n.name} - Entering ${n.state} state`, text: `=> ${fact} <=\r\n\r\n` };
}
