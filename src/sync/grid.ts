/**
 * The first point of an export's grid after now: its start plus a whole number of intervals. A start that lies a little
 * ahead is that of another clock; one that lies more than an interval ahead was dated by a clock that was wrong, and
 * the grid goes on before it. Pure.
 */
export function nextDueAt(createdAt: Date, now: Date, intervalMs: number): Date {
  const passed = now.getTime() - createdAt.getTime();
  const intervals = Math.floor((passed < -intervalMs ? passed : Math.max(0, passed)) / intervalMs) + 1;
  return new Date(createdAt.getTime() + intervals * intervalMs);
}
