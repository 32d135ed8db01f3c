import { z } from 'zod';

/** What was typed cannot be done. The message says why. */
export class CommandError extends Error {}

const projects = z.object({
  iterable: z.array(
    z.object({ id: z.int(), lists: z.array(z.object({ name: z.string(), count: z.int() })) }),
  ),
  mixpanel: z.array(
    z.object({
      id: z.string(),
      cohorts: z.array(z.object({ id: z.int(), name: z.string(), count: z.int() })),
    }),
  ),
});

/** The controls of a sandbox in another process. All of them throw a CommandError. */
export interface RunningSandbox {
  call<Answer>(method: string, path: string, input?: object): Promise<Answer>;
  projects(): Promise<z.infer<typeof projects>>;
  findCohort(name: string): Promise<{ project: string; id: number; name: string; count: number }>;
}

export function reachSandbox(controlUrl: string): RunningSandbox {
  async function call<Answer>(method: string, path: string, input?: object): Promise<Answer> {
    const body = input === undefined ? {} : { body: JSON.stringify(input) };
    const response = await fetch(`${controlUrl}/_control${path}`, { method, ...body }).catch(() => {
      throw new CommandError(`No sandbox runs at ${controlUrl}. Start one with npm run sandbox.`);
    });
    const answer = (await response.json().catch(() => {
      throw new CommandError(`What answers at ${controlUrl} is no sandbox.`);
    })) as Answer & { error?: string };
    if (!response.ok) throw new CommandError(answer.error ?? `The sandbox answered ${response.status}.`);
    return answer;
  }
  const sandbox: RunningSandbox = {
    call,
    projects: async () => projects.parse(await call('GET', '/projects')),
    async findCohort(name) {
      const { mixpanel } = await sandbox.projects();
      const all = mixpanel.flatMap(({ id, cohorts }) => cohorts.map((one) => ({ ...one, project: id })));
      const cohort = all.find((one) => one.name === name);
      if (cohort) return cohort;
      const names = all.map((one) => one.name).join(', ');
      throw new CommandError(`Mixpanel has no cohort ${name}. It has ${names}.`);
    },
  };
  return sandbox;
}
