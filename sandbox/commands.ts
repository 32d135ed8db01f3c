import { CommandError, type RunningSandbox, reachSandbox } from './reach-sandbox.ts';

interface Command {
  /** The arguments, as USAGE shows them. */
  args: readonly string[];
  what: string;
  run(sandbox: RunningSandbox, args: readonly string[]): Promise<string>;
}

const COMMANDS: Record<string, Command> = {
  show: {
    args: [],
    what: 'tells which cohorts and lists there are',
    async run({ projects }) {
      const { iterable, mixpanel } = await projects();
      return [
        ...mixpanel.flatMap((project) =>
          project.cohorts.map(({ name, count }) => `cohort  ${name}: ${count}`),
        ),
        ...iterable.flatMap((project) => project.lists.map(({ name, count }) => `list    ${name}: ${count}`)),
      ].join('\n');
    },
  },
  list: {
    args: ['<list>'],
    what: 'tells who is on a list in Iterable, ten of them by name',
    async run({ call, projects }, [name]) {
      const { iterable } = await projects();
      const project = iterable.find(({ lists }) => lists.some((list) => list.name === name));
      if (!project) throw new CommandError(`Iterable has no list ${name}.`);
      const query = new URLSearchParams({ project: String(project.id), name: name! });
      const { members } = await call<{ members: string[] }>('GET', `/iterable/list?${query}`);
      const more = members.length > SHOWN ? [`and ${members.length - SHOWN} more`] : [];
      return [`${name}: ${members.length} people`, ...members.slice(0, SHOWN), ...more].join('\n');
    },
  },
  shrink: {
    args: ['<cohort>', '<people>'],
    what: 'keeps so many people in a cohort in Mixpanel; the others leave it',
    async run({ call, findCohort }, [name, people]) {
      const cohort = await findCohort(name!);
      const keep = readCount(people!);
      await call('PATCH', '/mixpanel/cohorts', { project: cohort.project, cohortId: cohort.id, keep });
      return `${cohort.name}: ${Math.min(keep, cohort.count)} people, ${cohort.count} before.`;
    },
  },
  push: {
    args: ['<cohort>', '<url>', '<username>', '<password>'],
    what: 'pushes a cohort to a webhook as Mixpanel does: all of it, later what has changed',
    async run({ call, findCohort }, [name, url, username, password]) {
      const cohort = await findCohort(name!);
      const to = { url, username, password, firstWaitMs: FIRST_WAIT_MS };
      const { status, calls, message } = await call<{ status: string; calls: number; message?: string }>(
        'POST',
        '/mixpanel/push',
        { project: cohort.project, cohortId: cohort.id, ...to },
      );
      if (status !== 'SUCCEEDED') throw new CommandError(`The push ended as ${status}: ${message}`);
      return `${cohort.name}: pushed with ${calls} ${calls === 1 ? 'call' : 'calls'}.`;
    },
  },
  'send-events': {
    args: ['<count>', '<url>', '<password>'],
    what: 'sends events of messages to customers to a webhook, as Iterable does',
    async run({ call, projects }, [count, url, password]) {
      const { iterable } = await projects();
      const now = new Date();
      const made = {
        count: readCount(count!),
        people: { count: 500, prefix: 'customer' },
        seed: now.getTime(),
        from: new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)).toISOString(),
        to: now.toISOString(),
      };
      const { sent, failed, statuses } = await call<{ sent: number; failed: number; statuses: unknown }>(
        'POST',
        '/iterable/events',
        {
          project: iterable[0]?.id,
          url,
          auth: { type: 'oauth2', token: password },
          made,
          firstWaitMs: FIRST_WAIT_MS,
        },
      );
      if (failed > 0) {
        throw new CommandError(`${failed} of ${made.count} were not taken: ${JSON.stringify(statuses)}`);
      }
      return `${sent} events sent.`;
    },
  },
};

const SHOWN = 10;
/** Of the first wait before a retry. The partners wait longer than whoever sits at a terminal would. */
const FIRST_WAIT_MS = 100;

export const USAGE = Object.entries(COMMANDS)
  .map(([name, { args, what }]) => `  npm run sandbox -- ${[name, ...args].join(' ')}\n      ${what}`)
  .join('\n');

/** Does what was typed with the sandbox that runs, and returns what to print. Throws a CommandError when it cannot. */
export async function runCommand(
  controlUrl: string,
  [name = '', ...args]: readonly string[],
): Promise<string> {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command || args.length !== command.args.length) {
    throw new CommandError(
      `${command ? `${name} takes ${command.args.join(' ') || 'nothing'}.` : `There is no command ${name}.`} There are:\n\n${USAGE}`,
    );
  }
  return await command.run(reachSandbox(controlUrl), args);
}

function readCount(text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw new CommandError(`${text} is no number of people or events.`);
}
