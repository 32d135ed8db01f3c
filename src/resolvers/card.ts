import { cohortColumns, exportColumns, integrationColumns, runColumns } from '../../db/columns.ts';
import type { Card, Wanted } from '../../db/queries/card.ts';
import type { CohortRow, ExportRow, IntegrationRow, SyncRunRow } from '../../db/tables.ts';

/** The rows that one statement reads together. */
export interface CardRows {
  cohort: CohortRow;
  export: ExportRow;
  integration: IntegrationRow;
  run: SyncRunRow;
}

const SETS = {
  cohort: cohortColumns,
  export: exportColumns,
  integration: integrationColumns,
  run: runColumns,
};

/** Which rows are wanted, with which of their columns. */
export function wantColumns(nouns: ReadonlyMap<keyof CardRows, ReadonlySet<string> | 'all'>): Wanted {
  return Object.fromEntries(
    [...nouns].map(([noun, names]) => [noun, names === 'all' ? SETS[noun].all : SETS[noun].some(names)]),
  ) as Wanted;
}

const CARD = Symbol('card');

interface MayCarry {
  [CARD]?: Card;
}

/**
 * Its rows carry each other from now on, so that nobody reads what was read with them. It is no cache: it is true of
 * these objects, which one answer is made of, and goes with them.
 */
export function carry(card: Card): Card {
  for (const row of [card.cohort, card.export, card.integration, card.run]) {
    if (row) (row as MayCarry)[CARD] = card;
  }
  return card;
}

/** What was read together with this row. */
export function carriedBy(row: CardRows[keyof CardRows]): Card | undefined {
  return (row as MayCarry)[CARD];
}
