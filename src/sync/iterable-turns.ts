import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Db } from '../../db/connect.ts';
import { holdPace, MAX_HOLD_MS, type Pace, takeTurn, tellTurns } from '../../db/queries/pacer.ts';
import type { IntegrationRow } from '../../db/tables.ts';
import type { Env } from '../env.ts';
import { RateLimitedError } from './iterable/errors.ts';
import { createLine, type Line, type Taker, type Turns } from './line.ts';

/** What Iterable limits apart: reads of the people on a list; and all else. */
export type RequestKind = 'write' | 'listRead';

type PacedIntegration = Pick<IntegrationRow, 'id' | 'data_center' | 'partner_project_id'>;

/** Whose turn it is at Iterable: a line for each Iterable project and kind of request, over all runs of this process. */
export type IterableTurns = (integration: PacedIntegration, kind: RequestKind) => Line;

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
/** Iterable allows so many reads of lists a minute (API reference, lists/getUsers). */
const LIST_READS_PER_MINUTE = 5;
/** This much slower than allowed: requests do not arrive exactly as far apart as they left. */
const PACE_MARGIN = 1.016;
/** Nobody knows how Iterable counts: changes go about evenly, and one that was late holds up only that of a second later. */
const EVENNESS = 0.9;
const MAX_TURNS_PER_WINDOW = 10;

/** Lines are kept as long as the process lives: there is one for each Iterable project, and it is small. */
export function createIterableTurns(deps: {
  db: Db;
  limits: Pick<Env['iterable'], 'requestsPerSecond' | 'concurrency'>;
  logger: Logger;
}): IterableTurns {
  const { requestsPerSecond, concurrency } = deps.limits;
  const lines = new Map<string, Line>();

  function openLine(key: string, kind: RequestKind): Line {
    const { logger } = deps;
    if (kind === 'listRead') {
      const windowMs = MINUTE_MS * PACE_MARGIN;
      const pace = { key, turnsPerWindow: LIST_READS_PER_MINUTE, windowMs, gapMs: 0, concurrency: null };
      return createLine({ turns: shareTurns(deps.db, pace), concurrency: Number.POSITIVE_INFINITY, logger });
    }
    if (requestsPerSecond === 0) return createLine({ turns: createOwnTurns(), concurrency, logger });
    const turnMs = (SECOND_MS / requestsPerSecond) * PACE_MARGIN;
    const turnsPerWindow = Math.min(MAX_TURNS_PER_WINDOW, Math.max(1, Math.floor(requestsPerSecond)));
    const pace = {
      key,
      turnsPerWindow,
      windowMs: turnsPerWindow * turnMs,
      gapMs: turnMs * EVENNESS,
      concurrency,
    };
    return createLine({ turns: shareTurns(deps.db, pace), concurrency, logger });
  }

  return (integration, kind) => {
    const key = `iterable:${projectKeyOf(integration)}:${kind}`;
    const line = lines.get(key) ?? openLine(key, kind);
    lines.set(key, line);
    return line;
  };
}

/** Two of our projects may be connected to one Iterable project: then they share what it allows. */
function projectKeyOf({ id, data_center, partner_project_id }: PacedIntegration): string {
  return partner_project_id === null ? `integration-${id}` : `${data_center}-${partner_project_id}`;
}

function shareTurns(db: Db, pace: Pace): Turns {
  const lineId = randomUUID();
  return {
    take: (underWay, lateMs) => takeTurn(db, pace, { id: lineId, underWay, lateMs }),
    tell: (underWay) => tellTurns(db, lineId, underWay),
    hold: (holdMs) => holdPace(db, pace.key, holdMs),
  };
}

/** As many as are wanted, of this process alone; only a pause that was asked for is kept. */
function createOwnTurns(): Turns {
  let heldUntil = 0;
  return {
    async take() {
      const waitMs = Math.max(0, heldUntil - performance.now());
      return { isGranted: waitMs === 0, waitMs };
    },
    tell: async () => undefined,
    async hold(holdMs) {
      heldUntil = Math.max(heldUntil, performance.now() + Math.min(holdMs, MAX_HOLD_MS));
    },
  };
}

export interface TurnRequest {
  taker: Taker;
  /** Ends the wait; a request on its way is not touched. */
  signal: AbortSignal;
}

/**
 * Makes a request at its turn; a send that makes more than one awaits nextTurn before each further one. A 429 makes
 * everybody pause, in all processes, before it is thrown.
 */
export async function inTurn<T>(
  line: Line,
  { taker, signal }: TurnRequest,
  send: (nextTurn: () => Promise<void>) => Promise<T>,
): Promise<T> {
  let turn = await line.take(taker, signal);
  const nextTurn = async () => {
    turn.end();
    turn = await line.take(taker, signal);
  };
  try {
    return await send(nextTurn);
  } catch (error) {
    if (error instanceof RateLimitedError) await line.hold(error.retryAfterMs ?? SECOND_MS);
    throw error;
  } finally {
    turn.end();
  }
}
