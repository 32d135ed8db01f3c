import { BadUserInputError } from '../../../errors.ts';

/** Faults that are told one by one; the rest is counted. */
const FAULTS_SHOWN = 20;

/** What is wrong with the lines of a file. */
export interface Faults {
  /** The line is counted from 1, as an editor shows it. */
  add(line: number, what: string): void;
  /** Throws BadUserInputError. */
  throwIfAny(): void;
}

export function createFaults(): Faults {
  const shown: string[] = [];
  let count = 0;
  return {
    add(line, what) {
      if (++count <= FAULTS_SHOWN) shown.push(`line ${line}: ${what}`);
    },
    throwIfAny() {
      if (count === 0) return;
      const rest = count - shown.length;
      throw fileError(rest > 0 ? [...shown, `and ${rest} more lines.`] : shown);
    },
  };
}

export function fileError(messages: string[]): BadUserInputError {
  return new BadUserInputError(messages.map((message) => ({ path: ['input', 'file'], message })));
}
