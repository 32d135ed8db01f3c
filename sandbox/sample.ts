import type { IterableProject } from './iterable/project.ts';
import type { MixpanelProject, SandboxCohort } from './mixpanel/project.ts';
import type { Sandbox } from './start-sandbox.ts';

export interface Sample {
  iterable: IterableProject;
  apiKey: string;
  mixpanel: MixpanelProject;
  serviceAccount: { username: string; secret: string };
  cohorts: Record<'customers' | 'newsletter' | 'trial' | 'champions' | 'accounts', SandboxCohort>;
}

const MINUTE_MS = 60_000;

/** The same at each start, so that a service which is connected stays so. */
const CREDENTIALS = {
  apiKey: '5a5b0c0ffee5a5b0c0ffee5a5b0c0ffe',
  username: 'sync.5a5b0c.mp-service-account',
  secret: 'sandbox-service-account-secret',
};
const PROJECT = { token: '5a5b0c70ce5a5b0c70ce5a5b0c70ce5a', secret: '5a5b0c5ec2e75a5b0c5ec2e75a5b0c5e' };

/** A project of each partner with five cohorts: a large one, one short of e-mails, one that changes, a small one, a group. */
export function seedSample(sandbox: Sandbox, now: () => number = Date.now): Sample {
  const iterable = sandbox.iterable.addProject({ type: 'EMAIL' });
  const mixpanel = sandbox.mixpanel.addProject(PROJECT);
  const person = (prefix: string, index: number) => ({
    distinctId: `${prefix}-${index}`,
    properties: { $email: `${prefix}.${index}@example.com` },
  });
  const trialMembers = () => {
    // Each minute five people leave at the one end and five join at the other.
    const first = Math.floor(now() / MINUTE_MS) * 5;
    return { count: 200, member: (index: number) => person('trial', first + index) };
  };
  const cohorts = {
    customers: mixpanel.addCohort({
      name: 'Paying customers',
      description: 'Everybody with a paid plan',
      members: { count: 50_000, member: (index) => person('customer', index) },
    }),
    newsletter: mixpanel.addCohort({
      name: 'Newsletter readers',
      description: 'Read an article in the last 30 days; many of them never signed up',
      members: {
        count: 1_200,
        member: (index) => (index % 3 === 0 ? { distinctId: `$device:${index}` } : person('reader', index)),
      },
    }),
    trial: mixpanel.addCohort({
      name: 'Trial ends this week',
      description: 'Changes every minute',
      members: trialMembers(),
    }),
    champions: mixpanel.addCohort({
      name: 'Champions',
      description: 'Invited three colleagues or more',
      members: Array.from({ length: 12 }, (_, index) => person('champion', index)),
    }),
    accounts: mixpanel.addCohort({
      name: 'Enterprise accounts',
      description: 'Companies, not people',
      isGroup: true,
      members: Array.from({ length: 7 }, (_, index) => ({ distinctId: `company-${index}` })),
    }),
  };
  sandbox.every(1_000, () => mixpanel.setMembers(cohorts.trial.id, trialMembers()));
  return {
    iterable,
    apiKey: iterable.addKey({ key: CREDENTIALS.apiKey }),
    mixpanel,
    serviceAccount: mixpanel.addServiceAccount(CREDENTIALS),
    cohorts,
  };
}
