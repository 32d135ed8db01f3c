import type { SyncErrorCode } from '../../../db/values.ts';

/** One person as the source tells of them. email and userId may be any JSON value; undefined is absent. */
export interface SourceMember {
  distinctId: string;
  email: unknown;
  userId: unknown;
}

export interface MemberPage {
  /** 0-based. Pages may arrive in any order; a person's place is (page, index in the page). */
  number: number;
  members: SourceMember[];
  /** Rows of the page that name nobody; the total counts them. */
  unreadable?: number;
  /** People in all pages, as far as the source says so. Page 0 comes before all others. */
  total: number | null;
}

/** Everybody in a cohort, as of one moment. */
export interface MemberSource {
  /**
   * Reads everybody once and hands over each page as it arrives; waits for onPage before it reads much further.
   * Resolves when every page was handed over. total is how many different people the source says there are,
   * null when it does not say. Throws SourceError; what was handed over until then is to be thrown away.
   */
  read(
    onPage: (page: MemberPage) => Promise<void> | void,
    signal: AbortSignal,
  ): Promise<{ total: number | null }>;
}

type SourceErrorCode = Extract<
  SyncErrorCode,
  | 'SOURCE_UNAVAILABLE'
  | 'SOURCE_UNAUTHORIZED'
  | 'SOURCE_INCOMPLETE'
  | 'SOURCE_QUOTA_EXHAUSTED'
  | 'COHORT_NOT_FOUND'
>;

/** Why a cohort could not be read. The message says what to do and names no person and no secret. */
export class SourceError extends Error {
  readonly code: SourceErrorCode;

  constructor(code: SourceErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'SourceError';
    this.code = code;
  }

  /** Whether the next tick may succeed without anybody doing anything. */
  get retryable(): boolean {
    return this.code !== 'SOURCE_UNAUTHORIZED' && this.code !== 'COHORT_NOT_FOUND';
  }
}
