import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Target, Told } from './target.ts';

const PATIENCE_MS = 90_000;

/** One attack from a process of its own, so that it takes nothing away from the innocent caller but what the service does. */
export async function attack(name: string, target: Target): Promise<Told> {
  const child = fork(fileURLToPath(new URL('./attacker.ts', import.meta.url)), [], { execArgv: [] });
  const exited = once(child, 'exit');
  child.send({ name, target });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const [answer] = await Promise.race([once(child, 'message'), exited.then(() => [undefined])]);
  clearTimeout(timer);
  if (child.connected) child.disconnect();
  await exited;
  return answer?.told ?? { [`not over after ${PATIENCE_MS / 1000} s`]: 1 };
}
