import type { Script } from '../../../vrrp/config.ts';
import type { ScriptValue } from '../grammar/args.ts';
import type { FifoValue, globalDefs } from '../grammar/global.ts';
import type { vrrpInstance } from '../grammar/instance.ts';
import type { Got, ValuesOf } from '../grammar/spec.ts';
import type { Report } from '../report.ts';

export type GlobalValues = ValuesOf<(typeof globalDefs)['words']>;
export type InstanceValues = ValuesOf<(typeof vrrpInstance)['words']>;

/** A field that is absent where the value is: what `exactOptionalPropertyTypes` asks for. */
export const maybe = <K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } =>
  (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: T };

/** Several blocks of the same kind count as one. */
export const flat = <T>(blocks: readonly Got<readonly Got<T>[]>[] | undefined): readonly Got<T>[] =>
  (blocks ?? []).flatMap((b) => b.value);

export const asScript = (s: Got<ScriptValue> | undefined): Script | undefined => s?.value;

/**
 * The names that others may refer to. A block that was refused is reported itself; those who name it are not reported
 * too. With lenient it is gone, as for keepalived, and so are references to it.
 */
export const declared = (
  blocks: readonly Got<{ readonly head: string }>[] | undefined,
  built: readonly { readonly name: string }[],
  report: Report,
): ReadonlySet<string> => new Set(report.lenient ? built.map((b) => b.name) : (blocks ?? []).map((b) => b.value.head));

/** A FIFO with its reader, or nothing. */
export const fifoOf = (
  fifo: Got<FifoValue> | undefined,
  script: Got<ScriptValue> | undefined,
): readonly (FifoValue & { readonly script?: ScriptValue })[] =>
  fifo ? [{ ...fifo.value, ...maybe('script', script?.value) }] : [];
