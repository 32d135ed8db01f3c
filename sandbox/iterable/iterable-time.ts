/** As Iterable writes instants: YYYY-MM-DD HH:mm:ss +00:00. */
export function toIterableTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} +00:00`;
}
