import { type CallLog, createCallLog } from './calls.ts';
import { realClock, type SandboxClock } from './clock.ts';
import { type ControlTarget, serveControl } from './control.ts';
import { createFaults, type Faults } from './faults.ts';
import { type Listening, listen } from './http.ts';
import { createIterableProject, type IterableProject } from './iterable/project.ts';
import { createEventSender, type EventSender } from './iterable/send-events.ts';
import { serveIterable } from './iterable/serve.ts';
import { serveIngestion } from './mixpanel/ingest.ts';
import { createMixpanelProject, type MixpanelProject } from './mixpanel/project.ts';
import { serveMixpanel } from './mixpanel/serve.ts';
import type { Observe } from './serve-operation.ts';

export interface Sandbox {
  /** Base URLs of the partners, as the service's environment names them. */
  env: Record<string, string>;
  /** Where other processes set it up and look into it; see README.md. */
  controlUrl: string;
  iterable: {
    projects: IterableProject[];
    addProject(options: Parameters<typeof createIterableProject>[2]): IterableProject;
    /** Of the system webhook. */
    sender: Pick<EventSender, 'send' | 'untilQueueIsEmpty'>;
  };
  mixpanel: {
    projects: MixpanelProject[];
    addProject(options?: Parameters<typeof createMixpanelProject>[1]): MixpanelProject;
  };
  calls: CallLog;
  faults: Faults;
  /** Stopped with the sandbox. */
  every(intervalMs: number, act: () => void): void;
  stop(): Promise<void>;
}

const DATA_CENTERS = ['US', 'EU'] as const;
const REGIONS = ['US', 'EU', 'IN'] as const;

/** Plays Iterable and Mixpanel on loopback. Ports are free ones unless firstPort is given; then they follow it. */
export async function startSandbox(
  options: { host?: string; firstPort?: number; clock?: SandboxClock; observe?: Observe } = {},
): Promise<Sandbox> {
  const { host = '127.0.0.1', firstPort = 0, clock = realClock, observe } = options;
  const calls = createCallLog();
  const faults = createFaults();
  const sender = createEventSender();
  const iterableProjects: IterableProject[] = [];
  const mixpanelProjects: MixpanelProject[] = [];
  let lastListId = 1_068_681;
  const nextListId = () => ++lastListId;
  const listening: Listening[] = [];
  const timers: NodeJS.Timeout[] = [];
  const env: Record<string, string> = {};
  let port = firstPort;
  const open = async (handle: Parameters<typeof listen>[1]) => {
    const server = await listen({ host, port: port === 0 ? 0 : port++ }, handle);
    listening.push(server);
    return server.url;
  };

  const context = { calls, faults, clock, observe };
  for (const dataCenter of DATA_CENTERS) {
    env[`ITERABLE_BASE_URL_${dataCenter}`] = await open((request, response) =>
      serveIterable({ ...context, projects: iterableProjects, sender }, dataCenter, request, response),
    );
  }
  for (const region of REGIONS) {
    env[`MIXPANEL_BASE_URL_${region}`] = await open((request, response) =>
      serveMixpanel({ ...context, projects: mixpanelProjects }, region, request, response),
    );
  }
  for (const region of REGIONS) {
    env[`MIXPANEL_INGESTION_BASE_URL_${region}`] = await open((request, response) =>
      serveIngestion({ ...context, projects: mixpanelProjects }, region, request, response),
    );
  }
  const target: ControlTarget = {
    calls,
    faults,
    clock,
    iterable: {
      projects: iterableProjects,
      sender,
      addProject(given) {
        const project = createIterableProject(clock, nextListId, given);
        iterableProjects.push(project);
        return project;
      },
    },
    mixpanel: {
      projects: mixpanelProjects,
      addProject(given) {
        const project = createMixpanelProject(clock, given);
        mixpanelProjects.push(project);
        return project;
      },
    },
  };
  const controlUrl = await open((request, response) => serveControl(target, request, response));
  let stopped: Promise<void> | undefined;
  return {
    ...target,
    env,
    controlUrl,
    every: (intervalMs, act) => void timers.push(setInterval(act, intervalMs)),
    stop() {
      for (const timer of timers) clearInterval(timer);
      stopped ??= Promise.all([...listening, sender].map((one) => one.stop())).then(() => undefined);
      return stopped;
    },
  };
}
