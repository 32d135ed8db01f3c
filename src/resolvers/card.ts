import type { Card } from '../../db/queries/card.ts';
import type { CohortRow, ExportRow, IntegrationRow, SyncRunRow } from '../../db/tables.ts';

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
export function carriedBy(row: CohortRow | ExportRow | IntegrationRow | SyncRunRow): Card | undefined {
  return (row as MayCarry)[CARD];
}
