import { setTimeout as sleep } from 'node:timers/promises';
import { call } from './raw-http.ts';
import { note, type Target, type Told } from './target.ts';

/** An event of Iterable of empty objects, some millions of them. */
export async function emptyObjects(
  target: Target,
  { bytes = 6_000_000, holdMs = 10_000 } = {},
): Promise<Told> {
  const told: Told = {};
  const { path, password } = target.webhook!;
  const objects = '{},'.repeat(Math.floor(bytes / 3));
  const answer = await call(target, path, {
    headers: { authorization: `OAuth2 ${password}` },
    body: `{"eventName":"emailSend","email":"a@bench.test","dataFields":{"createdAt":"${new Date().toISOString()}","a":[${objects}{}]}}`,
  });
  note(told, answer.told);
  // It is looked into after it was answered.
  await sleep(holdMs);
  return told;
}
