import type { RunNotice } from '../../db/json-columns.ts';
import type { SyncRunRow } from '../../db/tables.ts';

/** With their codes; runs from before there were any have notices all the same. Pure. */
export function noticesOf(run: Pick<SyncRunRow, 'notices' | 'notice_details'>): RunNotice[] {
  if (run.notice_details.length > 0) return run.notice_details;
  return run.notices.map((message) => ({ code: 'OTHER', message, count: null }));
}
