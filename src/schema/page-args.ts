import type { ArgBuilder } from '@pothos/core';
import { MAX_PAGE_SIZE } from '../resolvers/page.ts';
import type { builder } from './builder.ts';

type Types = typeof builder extends PothosSchemaTypes.SchemaBuilder<infer T> ? T : never;

/** first and after of every connection. */
export function pageArgs(arg: ArgBuilder<Types>) {
  const message = `must be from 0 to ${MAX_PAGE_SIZE}.`;
  return {
    first: arg.int({
      description: `How many rows, 0 to ${MAX_PAGE_SIZE}; 20 unless given.`,
      validate: { min: [0, { message }], max: [MAX_PAGE_SIZE, { message }] },
    }),
    after: arg.string({
      description: 'The cursor after which to begin.',
      validate: {
        maxLength: [2000, { message: 'must be a cursor that an earlier page of this list gave.' }],
      },
    }),
  };
}
