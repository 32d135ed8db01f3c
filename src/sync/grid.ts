/** The first point of an export's grid after now: its start plus a whole number of intervals. Pure. */
export function nextDueAt(createdAt: Date, now: Date, intervalMs: number): Date {
  const passed = Math.max(0, now.getTime() - createdAt.getTime());
  return new Date(createdAt.getTime() + (Math.floor(passed / intervalMs) + 1) * intervalMs);
}
