export interface Result {
  what: string;
  measured: string;
  /** As words; a figure without a target is there to explain the others. */
  target?: string;
  isMet?: boolean;
}

/** Prints a small table. Nothing is an error: a benchmark reports. */
export function printResults(title: string, results: Result[]): void {
  const rows = results.map(({ what, measured, target = '', isMet }) => [
    what,
    measured,
    target,
    isMet === undefined ? '' : isMet ? 'met' : 'NOT MET',
  ]);
  const all = [['', 'measured', 'target', ''], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]!.length)));
  const lines = all.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  process.stdout.write(`\n${title}\n${lines.map((line) => `  ${line}`).join('\n')}\n`);
}

/** A line while something long goes on; to stderr, so that stdout holds results alone. */
export function tell(text: string): void {
  process.stderr.write(`  … ${text}\n`);
}

export function median(values: number[]): number {
  return percentile(values, 50);
}

export function percentile(values: number[], percent: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? Number.NaN;
}

export const seconds = (value: number): string => `${value.toFixed(2)} s`;
export const ratio = (value: number): string => `${value.toFixed(2)} ×`;
export const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(1)} MB`;
export const people = (count: number): string =>
  count >= 1_000_000 ? `${count / 1_000_000} M members` : `${count / 1_000} k members`;
