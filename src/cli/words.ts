/** The words of a command, or the reason why they cannot be read, which has then been said. */
export function wordsOf<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (e) {
    process.stderr.write(`holdfast: ${e instanceof Error ? e.message : String(e)}\n`);
    return undefined;
  }
}
