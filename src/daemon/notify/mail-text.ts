import type { Notification } from '../../vrrp/index.ts';

/** The text of a mail, as keepalived 2.2.7 writes it (measured); the subject says which state. */
export function mailText(n: Pick<Notification, 'of' | 'word'>): string {
  const fact =
    n.of === 'GROUP'
      ? `All VRRP group instances are now in ${n.word} state`
      : `VRRP Instance is ${n.word === 'MASTER' ? 'now' : 'no longer'} owning VRRP VIPs`;
  return `=> ${fact} <=\r\n\r\n`;
}
