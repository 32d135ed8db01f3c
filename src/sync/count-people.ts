/** For messages: 1 person, 2 people. */
export function countPeople(count: number): string {
  return count === 1 ? '1 person' : `${count} people`;
}
