import { z } from 'zod';

/** Buckets of people whom a list update names as failed. */
export type FailureBucket = 'invalid' | 'notFound' | 'forgotten' | 'conflict' | 'invalidData';

export interface ListUpdateFailure {
  kind: 'email' | 'userId';
  /** E-mails in lower case. */
  identifier: string;
  bucket: FailureBucket;
}

export interface ListUpdateResult {
  successCount: number;
  failCount: number;
  failures: ListUpdateFailure[];
}

/** The last millisecond of the year 9999. */
const MAX_TIME_MS = 253_402_300_799_999;

const names = z.array(z.coerce.string()).nullish();

const failureArrays = {
  invalidEmails: names,
  invalidUserIds: names,
  notFoundEmails: names,
  notFoundUserIds: names,
  forgottenEmails: names,
  forgottenUserIds: names,
  conflictEmails: names,
  conflictUserIds: names,
  invalidDataEmails: names,
  invalidDataUserIds: names,
};

/** Only the counts are promised; every array may be missing, and the two at the top repeat two of the ten. */
export const listUpdateAnswer = z.object({
  successCount: z.int().min(0),
  failCount: z.int().min(0),
  invalidEmails: names,
  invalidUserIds: names,
  failedUpdates: z.object(failureArrays).nullish(),
});

export const listsAnswer = z.object({
  // One by one by listRow: one that is odd does not spoil the others.
  lists: z.array(z.unknown()),
});

export const listRow = z.object({
  id: z.union([z.int(), z.bigint()]),
  // Of use, and not worth failing for.
  name: z.string().nullish().catch(null),
  listType: z.string().nullish().catch(null),
  createdAt: z.int().min(0).max(MAX_TIME_MS).nullable().catch(null),
});

export const createListAnswer = z.object({ listId: z.union([z.int(), z.bigint()]) });

/** Every error that Iterable words itself; code may be "Success" all the same. */
export const errorAnswer = z.object({
  msg: z.string().nullish(),
  code: z.string().nullish(),
  params: z.record(z.string(), z.unknown()).nullish(),
});

const BUCKETS: Record<keyof typeof failureArrays, [FailureBucket, 'email' | 'userId']> = {
  forgottenEmails: ['forgotten', 'email'],
  forgottenUserIds: ['forgotten', 'userId'],
  invalidEmails: ['invalid', 'email'],
  invalidUserIds: ['invalid', 'userId'],
  notFoundEmails: ['notFound', 'email'],
  notFoundUserIds: ['notFound', 'userId'],
  conflictEmails: ['conflict', 'email'],
  conflictUserIds: ['conflict', 'userId'],
  invalidDataEmails: ['invalidData', 'email'],
  invalidDataUserIds: ['invalidData', 'userId'],
};

/** Everybody who is named as failed, once each. */
export function toListUpdateResult(answer: z.infer<typeof listUpdateAnswer>): ListUpdateResult {
  const failures = new Map<string, ListUpdateFailure>();
  const add = (bucket: FailureBucket, kind: 'email' | 'userId', identifiers: string[] | null | undefined) => {
    for (const given of identifiers ?? []) {
      const identifier = kind === 'email' ? given.toLowerCase() : given;
      const name = `${kind} ${identifier}`;
      if (!failures.has(name)) failures.set(name, { kind, identifier, bucket });
    }
  };
  for (const [array, [bucket, kind]] of Object.entries(BUCKETS)) {
    add(bucket, kind, answer.failedUpdates?.[array as keyof typeof failureArrays]);
  }
  add('invalid', 'email', answer.invalidEmails);
  add('invalid', 'userId', answer.invalidUserIds);
  return { successCount: answer.successCount, failCount: answer.failCount, failures: [...failures.values()] };
}
