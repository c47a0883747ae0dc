/** Why a client went, in words. */
import { type Text, text, unreachable } from '../base/index.ts';
import type { HostError } from '../host/index.ts';
import type { ConnectionEnd } from './connection.ts';

export function explainEnd(peer: string, because: ConnectionEnd, tls: HostError | undefined): Text {
  const why = reason(because, tls);
  return text(`${peer} is gone: ${why.en}`, `${peer} 已断开：${why.zh}`);
}
function reason(because: ConnectionEnd, tls: HostError | undefined): Text {
  switch (because) {
    case 'disconnect':
      return text('it took its leave', '正常断开');
    case 'peer-closed':
      return text('it closed the connection without taking leave', '未告别即关闭连接');
    case 'broken':
      return text('the connection broke', '连接中断');
    case 'protocol':
      return text('what it sent was no NBD request', '所发内容不是 NBD 请求');
    case 'stopped':
      return text('the export was stopped, or the client cut off', '导出已停止，或该客户端被切断');
    case 'stalled':
      return text('it neither took its answers nor finished what it had begun', '既不接收应答，也未发完请求');
    case 'abort':
      return text('it ended the negotiation', '主动结束协商');
    case 'unknown-export':
      return text('it asked for an export that does not exist', '请求的导出不存在');
    case 'not-permitted':
      return text('its certificate does not permit that export', '其证书无权使用该导出');
    case 'client-flags':
      return text('it set handshake flags that are not known', '握手标志未知');
    case 'tls-required':
      return text('it did not ask for TLS, which is required', '未启用必需的 TLS');
    case 'handshake-timeout':
      return text('it did not finish the negotiation within 30 s', '30 秒内未完成协商');
    case 'tls-failed':
      return tls
        ? text(`TLS failed: ${tls.doing.en} (${tls.code})`, `TLS 失败：${tls.doing.zh}（${tls.code}）`)
        : text('TLS failed', 'TLS 失败');
    case 'too-many-options':
      return text('it asked for more than 1000 options', '请求的选项超过 1000 个');
    default:
      return unreachable(because);
  }
}
