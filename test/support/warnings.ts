import { vi } from 'vitest';

/** What is written to the console as a warning or an error, until it is disposed of. */
export function listenToConsole(): Disposable & { warnings: string[] } {
  const warnings: string[] = [];
  const keep = (...words: unknown[]) => void warnings.push(words.map(String).join(' '));
  const spies = [
    vi.spyOn(console, 'warn').mockImplementation(keep),
    vi.spyOn(console, 'error').mockImplementation(keep),
  ];
  return {
    warnings,
    [Symbol.dispose]() {
      for (const spy of spies) spy.mockRestore();
    },
  };
}
