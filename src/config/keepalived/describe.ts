import type { KeepalivedConfig } from './config.ts';
import { describeDirector } from './describe/director.ts';
import { describeBfd, describeGlobal, describeTop } from './describe/global.ts';
import { describeTracked, describeVrrp } from './describe/vrrp.ts';
import { Writer } from './describe/writer.ts';

/**
 * The configuration as a keepalived.conf that says everything: every default written out, no include, no parameter.
 * Reading it gives the same configuration again. Passwords and keys are in it, so it is no text for a log.
 */
export function describeKeepalivedConf(c: KeepalivedConfig): string {
  const w = new Writer();
  describeTop(w, c);
  describeGlobal(w, c);
  describeBfd(w, c.bfd);
  describeTracked(w, c.vrrp);
  describeVrrp(w, c.vrrp);
  describeDirector(w, c.director);
  return w.toString();
}
