/** Sessions in words, in both languages. */
import { type Text, text } from '../base/index.ts';
import { BFD_DIAGNOSTICS, type BfdState } from '../wire/index.ts';
import type { Ignored } from './machine.ts';

const STATES: Readonly<Record<BfdState, Text>> = {
  'admin-down': text('switched off', '已停用'),
  down: text('down', '中断'),
  init: text('starting', '建立中'),
  up: text('up', '正常'),
};
export const describeState = (s: BfdState): Text => STATES[s];

const DIAGNOSTICS: Readonly<Record<(typeof BFD_DIAGNOSTICS)[number], Text>> = {
  none: text('no reason given', '未说明原因'),
  'detection-time-expired': text('the neighbour was silent for too long', '邻居沉默过久'),
  'echo-failed': text('the echo function failed', '回声功能失败'),
  'neighbour-down': text('the neighbour says that the session is down', '邻居报告会话中断'),
  'forwarding-reset': text('the forwarding plane was reset', '转发平面已重置'),
  'path-down': text('the path is down', '路径中断'),
  'concatenated-path-down': text('a path behind is down', '后续路径中断'),
  'administratively-down': text('switched off by an operator', '由管理员停用'),
  'reverse-concatenated-path-down': text('a path behind, towards here, is down', '反向后续路径中断'),
};
/** `diagnostic` is 0..31 as on the wire; numbers without a name are said as numbers. */
export function describeDiagnostic(diagnostic: number): Text {
  const name = BFD_DIAGNOSTICS[diagnostic];
  return name ? DIAGNOSTICS[name] : text(`reason ${diagnostic}`, `原因代码 ${diagnostic}`);
}

const IGNORED: Readonly<Record<Ignored, Text>> = {
  hops: text(
    'it came over more hops than max_hops allows, or its TTL is unknown',
    '经过的跳数超过 max_hops 的允许值，或 TTL 未知',
  ),
  authentication: text('it is authenticated, which this side does not do', '报文带有认证，而本端不支持'),
  discriminator: text('it is meant for another session', '它属于另一个会话'),
  state: text('it claims a session without naming it', '它声称会话已建立，却未给出会话标识'),
  'administratively-down': text('the session is switched off here', '本端已停用该会话'),
};
export const describeIgnored = (why: Ignored): Text => IGNORED[why];
