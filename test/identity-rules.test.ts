import { describe, expect, test } from 'vitest';
import {
  type IdentityRules,
  identityKey,
  resolveIdentity,
  toIdentifier,
  toSubscriber,
} from '../src/sync/identity.ts';
import type { SourceMember } from '../src/sync/sources/source.ts';

type Case = {
  title: string;
  member: Partial<SourceMember>;
  rules?: Partial<IdentityRules>;
  expected: unknown;
};

function resolve({ member, rules }: Pick<Case, 'member' | 'rules'>): unknown {
  const all: IdentityRules = { projectType: 'EMAIL', idMerge: 'ORIGINAL', userIdFallback: 'NONE', ...rules };
  const identity = resolveIdentity(
    { distinctId: 'd-1', email: undefined, userId: undefined, ...member },
    all,
  );
  if (identity.kind === 'rejected') return identity.reason;
  return toSubscriber(all.projectType, { email: identity.email ?? null, userId: identity.userId ?? null });
}

function check(cases: Case[]) {
  test.each(cases)('$title', ({ member, rules, expected }) => {
    expect(resolve({ member, ...(rules ? { rules } : {}) })).toEqual(expected);
  });
}

const good = 'a@example.com';

describe('the e-mail', () => {
  check([
    {
      title: 'is trimmed and lower-cased',
      member: { email: '  A.B+c@Example.COM\t' },
      expected: { email: 'a.b+c@example.com' },
    },
    { title: 'that is blank is missing', member: { email: '   ' }, expected: 'MISSING_EMAIL' },
    { title: 'that is null is missing', member: { email: null }, expected: 'MISSING_EMAIL' },
    {
      title: 'that is a number is its decimal string, and no address',
      member: { email: 42 },
      expected: 'INVALID_EMAIL',
    },
    { title: 'that is a boolean is malformed', member: { email: true }, expected: 'INVALID_EMAIL' },
    { title: 'that is an array is malformed', member: { email: [good] }, expected: 'INVALID_EMAIL' },
    {
      title: 'that is an object is malformed',
      member: { email: { address: good } },
      expected: 'INVALID_EMAIL',
    },
    { title: 'without an @ is malformed', member: { email: 'a.example.com' }, expected: 'INVALID_EMAIL' },
    { title: 'with two @ is malformed', member: { email: 'a@b@example.com' }, expected: 'INVALID_EMAIL' },
    {
      title: 'with nothing before the @ is malformed',
      member: { email: '@example.com' },
      expected: 'INVALID_EMAIL',
    },
    {
      title: 'without a dot in the domain is malformed',
      member: { email: 'a@localhost' },
      expected: 'INVALID_EMAIL',
    },
    {
      title: 'with an empty label in the domain is malformed',
      member: { email: 'a@example..com' },
      expected: 'INVALID_EMAIL',
    },
    {
      title: 'that ends in a dot is malformed',
      member: { email: 'a@example.com.' },
      expected: 'INVALID_EMAIL',
    },
    {
      title: 'with a blank inside is malformed',
      member: { email: 'a b@example.com' },
      expected: 'INVALID_EMAIL',
    },
    {
      title: 'with a NUL inside is malformed',
      member: { email: 'a\0b@example.com' },
      expected: 'INVALID_EMAIL',
    },
    {
      title: 'that is not ASCII is left for Iterable to judge',
      member: { email: 'jürgen@bücher.example' },
      expected: { email: 'jürgen@bücher.example' },
    },
    {
      title: 'of another top-level domain is left for Iterable to judge',
      member: { email: 'a@b.c' },
      expected: { email: 'a@b.c' },
    },
  ]);
});

describe('the userId, in a project keyed by it,', () => {
  const rules = { projectType: 'USER_ID' } as const;
  check([
    { title: 'is trimmed', member: { userId: ' u 1 ' }, rules, expected: { userId: 'u 1' } },
    { title: 'keeps its case', member: { userId: 'Ab' }, rules, expected: { userId: 'Ab' } },
    {
      title: 'of 52 characters is good',
      member: { userId: 'u'.repeat(52) },
      rules,
      expected: { userId: 'u'.repeat(52) },
    },
    {
      title: 'of 53 characters is malformed',
      member: { userId: 'u'.repeat(53) },
      rules,
      expected: 'INVALID_USER_ID',
    },
    {
      title: 'with a letter outside ASCII is malformed',
      member: { userId: 'jürgen' },
      rules,
      expected: 'INVALID_USER_ID',
    },
    {
      title: 'with a control character is malformed',
      member: { userId: 'a\tb' },
      rules,
      expected: 'INVALID_USER_ID',
    },
    {
      title: 'that is a number is its decimal string',
      member: { userId: 10154012345678901n },
      rules,
      expected: { userId: '10154012345678901' },
    },
    {
      title: 'that is a number which may have lost digits is malformed',
      member: { userId: 1e21 },
      rules,
      expected: 'INVALID_USER_ID',
    },
    {
      title: 'that is a boolean is malformed',
      member: { userId: false },
      rules,
      expected: 'INVALID_USER_ID',
    },
    {
      title: 'that is blank is missing',
      member: { userId: '  ', email: good },
      rules,
      expected: 'MISSING_USER_ID',
    },
  ]);
});

describe('a project on original ID merge', () => {
  const fallback = { projectType: 'USER_ID', userIdFallback: 'DISTINCT_ID' } as const;
  check([
    {
      title: 'writes no userId without $iterable_user_id',
      member: { email: good },
      expected: { email: good },
    },
    {
      title: 'falls back to the distinct_id where that is chosen',
      member: { email: good },
      rules: { userIdFallback: 'DISTINCT_ID' },
      expected: { email: good, userId: 'd-1' },
    },
    {
      title: 'prefers $iterable_user_id to the distinct_id',
      member: { userId: 'u-1' },
      rules: fallback,
      expected: { userId: 'u-1' },
    },
    {
      title: 'does not fall back to the distinct_id of a device, whatever blanks are around it',
      member: { distinctId: ' $device:1' },
      rules: fallback,
      expected: 'MISSING_USER_ID',
    },
    {
      title: 'takes a $iterable_user_id that looks like a device',
      member: { userId: '$device:1' },
      rules: fallback,
      expected: { userId: '$device:1' },
    },
  ]);
});

describe('a project on simplified ID merge', () => {
  const simplified = { idMerge: 'SIMPLIFIED' } as const;
  check([
    {
      title: 'knows people by the distinct_id',
      member: { email: good },
      rules: simplified,
      expected: { email: good, userId: 'd-1' },
    },
    {
      title: 'does not honour $iterable_user_id',
      member: { userId: 'u-1' },
      rules: { ...simplified, projectType: 'USER_ID' },
      expected: { userId: 'd-1' },
    },
    {
      title: 'knows no userId of a device',
      member: { distinctId: '$device:1', userId: 'u-1', email: good },
      rules: simplified,
      expected: { email: good },
    },
    {
      title: 'knows no userId of a device that has blanks around it',
      member: { distinctId: ' \t$device:1 ', email: good },
      rules: simplified,
      expected: { email: good },
    },
    {
      title: 'has no userId for a device in a project keyed by it',
      member: { distinctId: '$device:1', userId: 'u-1', email: good },
      rules: { ...simplified, projectType: 'USER_ID' },
      expected: 'MISSING_USER_ID',
    },
  ]);
});

describe('an e-mail project', () => {
  check([
    {
      title: 'is sent both identifiers',
      member: { email: good, userId: 'u-1' },
      expected: { email: good, userId: 'u-1' },
    },
    { title: 'is not sent a userId alone', member: { userId: 'u-1' }, expected: 'MISSING_EMAIL' },
    {
      title: 'is not sent a malformed userId',
      member: { email: good, userId: 'u'.repeat(53) },
      expected: { email: good },
    },
  ]);
});

describe('a hybrid project', () => {
  const rules = { projectType: 'HYBRID' } as const;
  const long = 'u'.repeat(53);
  check([
    {
      title: 'is sent the userId alone when there are both',
      member: { email: good, userId: 'u-1' },
      rules,
      expected: { userId: 'u-1' },
    },
    {
      title: 'is sent the e-mail when there is no userId',
      member: { email: good },
      rules,
      expected: { email: good },
    },
    {
      title: 'takes the userId when the e-mail is malformed',
      member: { email: 'bad', userId: 'u-1' },
      rules,
      expected: { userId: 'u-1' },
    },
    {
      title: 'takes the e-mail when the userId is malformed',
      member: { email: good, userId: long },
      rules,
      expected: { email: good },
    },
    {
      title: 'has no use for a malformed userId alone',
      member: { userId: long },
      rules,
      expected: 'INVALID_USER_ID',
    },
    {
      title: 'has no use for a malformed userId and a malformed e-mail',
      member: { userId: long, email: 'bad' },
      rules,
      expected: 'INVALID_USER_ID',
    },
    {
      title: 'has no use for a malformed e-mail alone',
      member: { email: 'bad' },
      rules,
      expected: 'INVALID_EMAIL',
    },
    { title: 'has no use for somebody with neither', member: {}, rules, expected: 'MISSING_EMAIL' },
  ]);
});

test('a removal names people by their one key, so that no profile is written to', () => {
  const both = { email: good, userId: 'u-1' };
  expect(toIdentifier('EMAIL', both)).toEqual({ email: good });
  expect(toIdentifier('HYBRID', both)).toEqual({ userId: 'u-1' });
  expect(toIdentifier('USER_ID', both)).toEqual({ userId: 'u-1' });
  expect(toIdentifier('HYBRID', { email: good, userId: null })).toEqual({ email: good });
});

test('an e-mail and a userId of the same letters are two people', () => {
  expect(identityKey('HYBRID', { email: good, userId: undefined })).not.toBe(
    identityKey('HYBRID', { email: undefined, userId: good }),
  );
});
