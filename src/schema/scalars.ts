import { GraphQLError, Kind } from 'graphql';
import { builder, type Upload } from './builder.ts';

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

function parseInstant(value: unknown): Date {
  const instant = typeof value === 'string' && INSTANT.test(value) ? new Date(value) : undefined;
  if (instant && !Number.isNaN(instant.getTime())) return instant;
  throw new GraphQLError('A DateTime is an instant in ISO 8601, for example 2026-01-31T12:00:00.000Z.');
}

builder.scalarType('DateTime', {
  description: 'An instant in ISO 8601, UTC, with milliseconds: 2026-01-31T12:00:00.000Z.',
  serialize: (value) => value.toISOString(),
  parseValue: parseInstant,
  parseLiteral: (node) => parseInstant(node.kind === Kind.STRING ? node.value : undefined),
});

builder.scalarType('File', {
  description:
    'An upload by the GraphQL multipart request specification. The request needs the header graphql-require-preflight or x-graphql-yoga-csrf.',
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
