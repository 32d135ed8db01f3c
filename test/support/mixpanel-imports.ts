import type { Sandbox } from '../../sandbox/start-sandbox.ts';
import { startBareSandbox } from './bare-sandbox.ts';
import { basic } from './mixpanel-queries.ts';

type Properties = Record<string, unknown>;

/** The clock of the sandbox stands there. */
export const NOW = Date.parse('2030-01-01T00:00:00Z');
export const BASE = { time: NOW, distinct_id: 'u-1', $insert_id: 'i-1', $source: 'iterable', ip: 0 };
/** An event that a careful client sends. */
export const record = (properties: Properties = {}, event: unknown = 'emailSend') => ({
  event,
  properties: { ...BASE, ...properties },
});

interface ImportAnswer {
  status: number;
  json: { num_records_imported?: number; failed_records?: unknown[]; error?: string };
}

/** A sandbox with one project, and imports as its service account sends them. */
export async function startImporting(settings: Parameters<Sandbox['mixpanel']['addProject']>[0] = {}) {
  const bare = await startBareSandbox();
  const project = bare.sandbox.mixpanel.addProject(settings);
  const account = project.addServiceAccount();
  async function send(
    body: string | Uint8Array<ArrayBuffer>,
    options: { headers?: Record<string, string>; query?: string; method?: string } = {},
  ): Promise<ImportAnswer> {
    const { query = `?strict=1&project_id=${project.id}` } = options;
    const response = await fetch(
      `${bare.sandbox.env[`MIXPANEL_INGESTION_BASE_URL_${project.region}`]}/import${query}`,
      {
        method: options.method ?? 'POST',
        headers: {
          'content-type': 'application/json',
          ...basic(account.username, account.secret),
          ...options.headers,
        },
        body,
      },
    );
    return { status: response.status, json: (await response.json()) as ImportAnswer['json'] };
  }
  const importAll = (...records: unknown[]) => send(JSON.stringify(records));
  return { ...bare, project, send, importAll };
}
