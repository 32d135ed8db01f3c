import type { Member } from '../../sandbox/mixpanel/project.ts';

/** Somebody with an e-mail address made from their distinct_id. */
export function person(id: string, properties: Record<string, unknown> = {}): Member {
  return { distinctId: id, properties: { $email: `${id}@example.com`, ...properties } };
}

/** That many of them, p0 and on. */
export function people(count: number, prefix = 'p'): Member[] {
  return Array.from({ length: count }, (_, index) => person(`${prefix}${index}`));
}
