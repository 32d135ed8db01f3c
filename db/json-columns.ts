import type { NoticeCode } from './values.ts';

// What columns of JSON hold.

/** How a file of members was understood. */
export interface FileReading {
  format: 'CSV' | 'NDJSON';
  /** What parts the columns of a CSV. */
  delimiter: string | null;
  /** Those that are used; of NDJSON the keys that its objects have. */
  columns: string[];
  /** Those that are not, the first hundred of them. */
  ignoredColumns: string[];
  /** That name somebody. */
  rows: number;
  /** Rows of empty cells. */
  emptyRows: number;
  /** Rows that were left out, because an earlier one has their distinct_id. */
  repeatedRows: number;
}

/** What the user should know of a run that went on. */
export interface RunNotice {
  code: NoticeCode;
  message: string;
  /** Of people, or of rows. */
  count: number | null;
}
