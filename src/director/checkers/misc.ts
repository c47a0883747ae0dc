/** MISC_CHECK: a program's exit status. With misc_dynamic 2..255 say up, with a weight of that less 2. */
import { text } from '../../base/index.ts';
import type { Exit } from '../../host/index.ts';
import { type Finding, fail, failedWith, pass } from './conversation.ts';

export function judgeMisc(e: Exit, dynamic: boolean): Finding {
  if ('failed' in e) {
    const { doing, code } = e.failed;
    return failedWith(code, text(`it could not be started: ${doing.en}: ${code}`, `无法启动：${doing.zh}：${code}`));
  }
  if ('signal' in e) return fail('signal', text(`it was ended by ${e.signal}`, `被信号 ${e.signal} 终止`));
  const words = text(`exit status ${e.code}`, `退出状态 ${e.code}`);
  if (e.code === 0) return pass('exit', words);
  if (!dynamic || e.code === 1) return fail('exit', words);
  return { passed: true, code: 'exit', reason: words, weight: { kind: 'is', value: e.code - 2 } };
}
