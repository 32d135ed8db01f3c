import { GraphQLError, Kind } from 'graphql';
import { builder, type Upload } from './builder.ts';

const INSTANT = /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

/** What can be written with four digits for the year. */
const MIN_INSTANT_MS = Date.parse('0001-01-01T00:00:00.000Z');
const MAX_INSTANT_MS = Date.parse('9999-12-31T23:59:59.999Z');

function parseInstant(value: unknown): Date {
  const [, year, month, day] = (typeof value === 'string' && INSTANT.exec(value)) || [];
  // JavaScript would take 30 February for 2 March.
  const isDay = Number(day) <= new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  const instant = isDay ? new Date(String(value)) : undefined;
  if (instant && instant.getTime() >= MIN_INSTANT_MS && instant.getTime() <= MAX_INSTANT_MS) return instant;
  throw new GraphQLError('A DateTime is an instant in ISO 8601, for example 2026-01-31T12:00:00.000Z.');
}

builder.scalarType('DateTime', {
  description: 'An instant in ISO 8601, UTC, with milliseconds: 2026-01-31T12:00:00.000Z.',
  specifiedByURL: 'https://scalars.graphql.org/andimarek/date-time.html',
  serialize: (value) => value.toISOString(),
  parseValue: parseInstant,
  parseLiteral: (node) => parseInstant(node.kind === Kind.STRING ? node.value : undefined),
});

builder.scalarType('File', {
  description:
    'An upload by the GraphQL multipart request specification: one file, after the operation that declares it.',
  serialize: () => {
    throw new GraphQLError('A File is only for input.');
  },
  parseValue: (value) => {
    if (typeof (value as Upload | null)?.stream === 'function') return value as Upload;
    throw new GraphQLError(
      'A File is a part of a multipart request (GraphQL multipart request specification).',
    );
  },
  parseLiteral: () => {
    throw new GraphQLError('A File is given as a variable of a multipart request.');
  },
});
