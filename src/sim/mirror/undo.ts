/** Undo files in memory, one at a time. */
import type { Text } from '../../base/index.ts';
import type { ResourceEffect } from '../../mirror/index.ts';

type Step = Extract<ResourceEffect, { readonly kind: 'undo' }>['step'];

export class SimUndo {
  readonly name = 'undo';
  /** What is being written; what was kept. */
  #open: Uint8Array[] | undefined;
  kept: Uint8Array | undefined;
  /** The steps that were asked for. */
  readonly steps: Step['is'][] = [];
  /** What a step fails with. */
  fails: (step: Step) => Text | undefined = () => undefined;

  step(_volume: number | undefined, step: Step): Text | undefined {
    this.steps.push(step.is);
    const failed = this.fails(step);
    if (failed !== undefined) return failed;
    switch (step.is) {
      case 'room':
        return undefined;
      case 'open':
        this.#open = [step.header];
        return undefined;
      case 'append':
        this.#open?.push(...step.bytes.map((b) => b.slice()));
        return undefined;
      case 'keep':
        this.kept = Buffer.concat(this.#open ?? []);
        this.#open = undefined;
        return undefined;
      case 'drop':
        this.#open = undefined;
        return undefined;
      default:
        return step satisfies never;
    }
  }
}
