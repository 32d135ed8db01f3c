import { z } from 'zod';
import type { PushAction } from '../../../../db/values.ts';
import { decimal, parseJson } from '../../../json.ts';
import { NOT_TEXT } from '../../identity.ts';
import { exceedsBounds } from '../../json-bounds.ts';
import { isPlaceholder } from '../../placeholder.ts';
import { MAX_DESCRIPTION_LENGTH, shorten } from '../../shorten.ts';

/** One call of Mixpanel's cohort webhook. */
export interface Push {
  action: PushAction;
  mixpanelProjectId: string;
  cohortId: string;
  cohortName: string;
  description: string | null;
  sessionId: string;
  /** 1-based. Undefined for a call that names nobody and is no page: there is nothing to do. */
  place: { page: number; totalPages: number } | undefined;
  /**
   * PushedRows as JSON, null for one that names nobody. As text, because a page is held until it is stored, and a thousand objects that outlive a collection
   * of garbage cost more than all else that is done with them.
   */
  members: string;
}

/** distinct_id, e-mail and userId as far as they are told; text that no rule takes for well-formed stands for what is none. */
type PushedRow = [distinctId: string, email: string | null, userId: string | null];

/** The message tells Mixpanel's user what is wrong; it names no person. */
export class PushUnusableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PushUnusableError';
  }
}

/** PostgreSQL's text cannot hold NUL, and JSON no half of a surrogate pair. */
const text = z
  .union([z.string(), z.number(), z.bigint()])
  .transform((value) => (typeof value === 'string' ? clean(value) : (decimal(value) ?? NOT_TEXT)));
const identifier = text.pipe(z.string().min(1).max(200));
const count = z.coerce.number().pipe(z.int().min(1).max(1_000_000));

const push = z.object({
  action: z.enum(['members', 'add_members', 'remove_members']),
  parameters: z.object({
    mixpanel_project_id: identifier,
    mixpanel_cohort_id: identifier,
    mixpanel_cohort_name: text.pipe(z.string().min(1).max(1_000)),
    mixpanel_cohort_description: text.nullish(),
    mixpanel_session_id: identifier,
    page_info: z.unknown().optional(),
    // Looked at one by one by readRow: a schema takes as long as all the rest of a page.
    members: z.array(z.unknown()).nullish(),
  }),
});

const pageInfo = z
  .object({ total_pages: count, page_count: count })
  .refine(({ total_pages, page_count }) => page_count <= total_pages, {
    message: 'page_count is larger than total_pages',
  });

/** Mixpanel sends 1,000 members a call, each with some ten values; this is twenty times that, and some 20 MB for a moment. */
const BOUNDS = { maxNodes: 200_000, maxDepth: 100 };

/** Throws PushUnusableError. */
export function readPush(body: Buffer): Push {
  const { action, parameters } = check(push, parse(body), []);
  const description = parameters.mixpanel_cohort_description;
  const rows = parameters.members?.map(readRow);
  return {
    action,
    mixpanelProjectId: parameters.mixpanel_project_id,
    cohortId: parameters.mixpanel_cohort_id,
    cohortName: parameters.mixpanel_cohort_name,
    description: description == null ? null : shorten(description, MAX_DESCRIPTION_LENGTH),
    sessionId: parameters.mixpanel_session_id,
    place: readPlace(parameters.page_info, rows),
    members: JSON.stringify(rows ?? []),
  };
}

/** A call that names nobody may say whatever it likes: a refusal would pause the sync in Mixpanel. */
function readPlace(told: unknown, rows: readonly (PushedRow | null)[] | undefined): Push['place'] {
  const namesNobody = rows === undefined || rows.every((row) => row === null);
  if (told == null) return rows === undefined ? undefined : { page: 1, totalPages: 1 };
  if (namesNobody && !pageInfo.safeParse(told).success) return undefined;
  const { page_count: page, total_pages: totalPages } = check(pageInfo, told, ['parameters', 'page_info']);
  // No list is not an empty one, which would empty the cohort.
  return rows === undefined && totalPages === 1 ? undefined : { page, totalPages };
}

function parse(body: Buffer): unknown {
  const exceeded = exceedsBounds(body, BOUNDS);
  if (exceeded === 'DEPTH') {
    throw new PushUnusableError(`The body is nested deeper than ${BOUNDS.maxDepth} levels.`);
  }
  if (exceeded === 'NODES') {
    throw new PushUnusableError(`The body has more than ${BOUNDS.maxNodes} values.`);
  }
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new PushUnusableError('The body is not JSON in UTF-8.');
  }
}

function check<T extends z.ZodType>(schema: T, value: unknown, path: string[]): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new PushUnusableError(`${[...path, ...issue!.path].join('.') || 'The body'}: ${issue!.message}.`);
}

/** Mixpanel's own have 255 at most; an index of PostgreSQL takes no more than 2,700 bytes. */
const MAX_DISTINCT_ID_LENGTH = 600;

/** Null for a row that names nobody. */
function readRow(item: unknown): PushedRow | null {
  if (typeof item !== 'object' || item === null) return null;
  const member = item as Record<string, unknown>;
  const email = readText(member.email) ?? readText(member.$email);
  const distinctId = readText(member.mixpanel_distinct_id) ?? readText(member.$distinct_id) ?? email;
  if (distinctId === undefined || distinctId === NOT_TEXT) return null;
  if (distinctId.length > MAX_DISTINCT_ID_LENGTH) return null;
  const userId = readText(member.$iterable_user_id);
  return [distinctId, email ?? null, userId === undefined || isPlaceholder(userId) ? null : userId];
}

/** An empty value is absent. */
function readText(value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'number' || typeof value === 'bigint') return decimal(value) ?? NOT_TEXT;
  return typeof value === 'string' ? clean(value) : NOT_TEXT;
}

function clean(value: string): string {
  return value.replaceAll('\0', '\uFFFD').toWellFormed();
}
