import type { ColumnType } from 'kysely';

/** int8: a decimal string in JavaScript. */
export type Int8 = string;
export type GeneratedInt8 = ColumnType<Int8, never, never>;
