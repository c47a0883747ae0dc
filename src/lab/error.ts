import type { Text } from '../base/index.ts';

/**
 * What the lab could not do. The lab is driven by tests, demos and people, all of whom want to stop at the first
 * refusal: so its promises reject with this one class instead of returning Result values.
 */
export class LabError extends Error {
  /** Stable: `lab-no-namespaces`, `lab-no-such-host`, `lab-ip`, ... */
  readonly code: string;
  readonly text: Text;
  constructor(code: string, text: Text) {
    super(`${text.en} [${code}]`);
    this.name = 'LabError';
    this.code = code;
    this.text = text;
  }
}
