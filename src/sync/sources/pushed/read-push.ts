import { z } from 'zod';
import type { PushAction } from '../../../../db/values.ts';
import { decimal, parseJson } from '../../../json.ts';
import { NOT_TEXT } from '../../identity.ts';
import { exceedsBounds } from '../../json-bounds.ts';
import { MAX_DESCRIPTION_LENGTH, shorten } from '../../shorten.ts';
import { clean, type PushedRow, readRow } from './read-row.ts';

/** One call of Mixpanel's cohort webhook. */
export interface Push {
  action: PushAction;
  /** Undefined when a call that names nobody does not tell it. */
  mixpanelProjectId: string | undefined;
  /** Undefined for a call that names nobody and is no page: there is nothing to do. */
  page: PushedPage | undefined;
}

interface PushedPage {
  cohortId: string;
  cohortName: string;
  description: string | null;
  sessionId: string;
  /** 1-based. */
  number: number;
  totalPages: number;
  /**
   * PushedRows as JSON, null for one that names nobody. As text, because a page is held until it is stored, and a thousand objects that outlive a collection
   * of garbage cost more than all else that is done with them.
   */
  members: string;
}

/** The message tells Mixpanel's user what is wrong; it names no person. */
export class PushUnusableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PushUnusableError';
  }
}

const text = z
  .union([z.string(), z.number(), z.bigint()])
  .transform((value) => (typeof value === 'string' ? clean(value) : (decimal(value) ?? NOT_TEXT)));
const identifier = text.pipe(
  z
    .string()
    .min(1)
    .max(200)
    // Two of them would become one.
    .refine((id) => !id.includes(NOT_TEXT), { message: 'an id with digits or characters that got lost' }),
);
const count = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
  .pipe(z.int().min(1).max(1_000_000));

const call = z.object({
  action: z.enum(['members', 'add_members', 'remove_members']),
  parameters: z
    .looseObject({})
    .nullish()
    .transform((parameters) => parameters ?? {}),
});

const cohort = z.object({
  mixpanel_project_id: identifier,
  mixpanel_cohort_id: identifier,
  mixpanel_cohort_name: text.pipe(z.string().min(1).max(1_000)),
  mixpanel_cohort_description: text.nullish().catch(null),
  mixpanel_session_id: identifier,
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
  const { action, parameters } = check(call, parse(body), []);
  const rows = readRows(parameters.members, action);
  // Such a call may say whatever it likes of the rest: a refusal would pause the sync in Mixpanel.
  if (rows.every((row) => row === null) && !isPage(parameters)) {
    const { data: mixpanelProjectId } = identifier.safeParse(parameters.mixpanel_project_id);
    return { action, mixpanelProjectId, page: undefined };
  }
  const told = check(cohort, parameters, ['parameters']);
  const { mixpanel_cohort_description: description } = told;
  return {
    action,
    mixpanelProjectId: told.mixpanel_project_id,
    page: {
      cohortId: told.mixpanel_cohort_id,
      cohortName: told.mixpanel_cohort_name,
      description: description == null ? null : shorten(description, MAX_DESCRIPTION_LENGTH),
      sessionId: told.mixpanel_session_id,
      ...readPlace(parameters.page_info),
      members: JSON.stringify(rows),
    },
  };
}

/** Looked at one by one: a schema takes as long as all the rest of a page. */
function readRows(members: unknown, action: PushAction): (PushedRow | null)[] {
  if (Array.isArray(members)) return members.map((member) => readRow(member, action));
  if (isNobody(members)) return [];
  throw new PushUnusableError('parameters.members: expected a list.');
}

/** What programs write for an empty list. */
function isNobody(members: unknown): boolean {
  if (typeof members === 'string') return members.trim() === '';
  return !members || (typeof members === 'object' && Object.keys(members).length === 0);
}

/** Whether a call that names nobody is a page. An empty list is all of a cohort only if that is told: it empties the cohort. */
function isPage(parameters: Record<string, unknown>): boolean {
  const { members, page_info: told } = parameters;
  if (!cohort.safeParse(parameters).success) return false;
  // Rows that cannot be read are counted; they empty no cohort.
  if (told == null) return Array.isArray(members) && members.length > 0;
  const { data: place } = pageInfo.safeParse(told);
  // No list is not an empty one.
  return place !== undefined && (Array.isArray(members) || place.total_pages > 1);
}

function readPlace(told: unknown): { number: number; totalPages: number } {
  if (told == null) return { number: 1, totalPages: 1 };
  const { page_count: number, total_pages: totalPages } = check(pageInfo, told, ['parameters', 'page_info']);
  return { number, totalPages };
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
