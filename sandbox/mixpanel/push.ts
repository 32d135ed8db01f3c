import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Member, MixpanelProject, SandboxCohort } from './project.ts';

const PAGE_SIZE = 1_000;
/** Five retries over a minute, each wait twice as long as the one before. */
const RETRIES = 5;
const FIRST_WAIT_MS = 2_000;
/** Statuses that pause the sync until somebody sees to it. */
const PAUSING = [400, 401, 403, 404];

export interface PushTarget {
  url: string;
  username: string;
  password: string;
}

export interface PushOptions {
  /** Pages come in any order. */
  isShuffled?: boolean;
  /** Every page comes twice. */
  isRepeated?: boolean;
  /** This page of each session (from 1) is never sent. */
  leaveOut?: number;
  /** Of the first wait before a retry. */
  firstWaitMs?: number;
}

export interface PushOutcome {
  /** FAILED: it would begin anew at the next schedule. */
  status: 'SUCCEEDED' | 'PAUSED' | 'FAILED';
  calls: number;
  /** What the receiver said when it refused. */
  message: string | undefined;
}

type Action = 'members' | 'add_members' | 'remove_members';

/** What each receiver is known to hold, by its address: moved by pushes that succeeded only. */
const snapshots = new WeakMap<SandboxCohort, Map<string, Map<string, Member>>>();

/**
 * Pushes a cohort as Mixpanel's cohort webhook does: all members the first time, then those who joined and those who left since
 * the last push that succeeded.
 */
export async function pushCohort(
  project: MixpanelProject,
  cohort: SandboxCohort,
  target: PushTarget,
  options: PushOptions = {},
): Promise<PushOutcome> {
  const held = snapshots.get(cohort) ?? new Map<string, Map<string, Member>>();
  snapshots.set(cohort, held);
  const before = held.get(target.url);
  const now = new Map<string, Member>();
  for (let index = 0; index < cohort.members.count; index++) {
    const member = cohort.members.member(index);
    now.set(member.distinctId, member);
  }
  const sessions: [Action, Member[]][] = before
    ? [
        ['add_members', [...now.values()].filter(({ distinctId }) => !before.has(distinctId))],
        ['remove_members', [...before.values()].filter(({ distinctId }) => !now.has(distinctId))],
      ]
    : [['members', [...now.values()]]];
  let calls = 0;
  for (const [action, members] of sessions) {
    for (const page of toPages(project, cohort, action, members, options)) {
      const outcome = await send(target, page, options.firstWaitMs ?? FIRST_WAIT_MS);
      calls += outcome.calls;
      if (outcome.status !== 'SUCCEEDED') return { ...outcome, calls };
    }
  }
  if (options.leaveOut === undefined) held.set(target.url, now);
  return { status: 'SUCCEEDED', calls, message: undefined };
}

function toPages(
  project: MixpanelProject,
  cohort: SandboxCohort,
  action: Action,
  members: Member[],
  { isShuffled = false, isRepeated = false, leaveOut }: PushOptions,
): string[] {
  const session = randomUUID();
  const pages = Math.max(1, Math.ceil(members.length / PAGE_SIZE));
  const bodies = Array.from({ length: pages }, (_, page) =>
    JSON.stringify({
      action,
      parameters: {
        mixpanel_project_id: project.id,
        mixpanel_integration_id: '0',
        mixpanel_cohort_id: String(cohort.id),
        mixpanel_cohort_name: cohort.name,
        mixpanel_cohort_description: cohort.description,
        mixpanel_session_id: session,
        page_info: { total_pages: pages, page_count: page + 1 },
        members: members.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE).map(toRow),
      },
    }),
  ).filter((_, page) => page + 1 !== leaveOut);
  const sent = isRepeated ? [...bodies, ...bodies] : bodies;
  return isShuffled
    ? sent
        .map((body) => ({ body, place: Math.random() }))
        .sort((a, b) => a.place - b.place)
        .map(({ body }) => body)
    : sent;
}

/** The default fields, and every property of the profile under its raw name. */
function toRow({ distinctId, properties = {} }: Member): Record<string, unknown> {
  return { mixpanel_distinct_id: distinctId, ...properties };
}

async function send(
  { url, username, password }: PushTarget,
  body: string,
  firstWaitMs: number,
): Promise<PushOutcome> {
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  let message: string | undefined;
  for (let call = 0; call <= RETRIES; call++) {
    if (call > 0) await wait(firstWaitMs * 2 ** (call - 1));
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body,
      });
      const answer = (await response.json()) as { status?: string; error?: { message?: string } };
      if (response.ok && answer.status === 'success')
        return { status: 'SUCCEEDED', calls: call + 1, message };
      message = answer.error?.message ?? `HTTP ${response.status}`;
      if (PAUSING.includes(response.status)) return { status: 'PAUSED', calls: call + 1, message };
    } catch (error) {
      message = error instanceof Error ? error.message : String(error);
    }
  }
  return { status: 'FAILED', calls: RETRIES + 1, message };
}
