import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import type { CallLog } from './calls.ts';
import type { SandboxClock } from './clock.ts';
import { iterableControls } from './control-iterable.ts';
import { mixpanelControls } from './control-mixpanel.ts';
import type { Fault, Faults } from './faults.ts';
import { type SandboxRequest, sendReply } from './http.ts';
import type { Sandbox } from './start-sandbox.ts';

export type ControlTarget = Pick<Sandbox, 'iterable' | 'mixpanel'> & {
  calls: CallLog;
  faults: Faults;
  clock: SandboxClock;
};

/** What one control does: its input is the body, or the query of a GET or DELETE. What it gives, or promises, goes out as JSON. */
export type Control = (target: ControlTarget, input: unknown) => unknown;

const fault = z.strictObject({
  operation: z.string(),
  page: z.int().optional(),
  skip: z.int().optional(),
  times: z.int().optional(),
  chance: z.number().min(0).max(1).optional(),
  delayMs: z.number().optional(),
  reply: z
    .strictObject({
      status: z.int(),
      body: z.unknown().optional(),
      headers: z.record(z.string(), z.string()).optional(),
    })
    .optional(),
  drop: z.enum(['before', 'after', 'middle']).optional(),
  hang: z.boolean().optional(),
  hangAfter: z.boolean().optional(),
});

const done = { ok: true };

const controls: Record<string, Control> = {
  ...iterableControls,
  ...mixpanelControls,
  'GET /_control/projects': ({ iterable, mixpanel }) => ({
    iterable: iterable.projects.map(({ id, type, dataCenter, lists }) => {
      const shown = [...lists.values()].map((list) => ({ name: list.name, count: list.members.size }));
      return { id, type, dataCenter, lists: shown };
    }),
    mixpanel: mixpanel.projects.map(({ id, region, cohorts }) => {
      const shown = [...cohorts.values()].map((one) => ({
        id: one.id,
        name: one.name,
        count: one.members.count,
      }));
      return { id, region, cohorts: shown };
    }),
  }),
  'POST /_control/faults': ({ faults }, input) => {
    faults.add(fault.parse(input) as Fault);
    return done;
  },
  'DELETE /_control/faults': ({ faults }) => {
    faults.clear();
    return done;
  },
  'GET /_control/calls': ({ calls }) => ({ calls: calls.all, complaints: calls.complaints }),
  'DELETE /_control/calls': ({ calls }) => {
    calls.clear();
    return done;
  },
};

/** The sandbox's controls for other processes: JSON in, JSON out; README.md lists them. */
export async function serveControl(
  target: ControlTarget,
  request: SandboxRequest,
  response: ServerResponse,
): Promise<void> {
  const control = controls[`${request.method} ${request.path}`];
  if (!control) return sendReply(response, { status: 404, body: { error: 'There is no such control.' } });
  try {
    const hasBody = request.body.trim() !== '';
    const input: unknown = hasBody ? JSON.parse(request.body) : Object.fromEntries(request.query);
    sendReply(response, { status: 200, body: await control(target, input) });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    sendReply(response, { status: 400, body: { error: text } });
  }
}
