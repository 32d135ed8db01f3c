import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { PartnerSettings, PartnerStats } from '../partners.ts';

export interface Partners {
  mixpanelUrl: string;
  iterableUrl: string;
  /** Changes what they play, and forgets what was counted. */
  set(settings: PartnerSettings): Promise<void>;
  /** What came in since the last set(). */
  stats(): Promise<PartnerStats>;
  stop(): Promise<void>;
}

/** Starts bench/partners.ts as a process of its own, so that its work is not counted as anybody else's. */
export async function startPartners(settings: PartnerSettings): Promise<Partners> {
  const child = fork(fileURLToPath(new URL('../partners.ts', import.meta.url)), [], { execArgv: [] });
  const exited = once(child, 'exit');
  const [urls] = await once(child, 'message');
  const ask = async (message: object) => {
    child.send(message);
    const [answer] = await once(child, 'message');
    return answer;
  };
  await ask({ set: settings });
  return {
    ...urls,
    set: (changed) => ask({ set: changed }),
    stats: () => ask({ stats: true }),
    async stop() {
      child.disconnect();
      await exited;
    },
  };
}
