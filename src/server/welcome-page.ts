import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { pageHeaders } from './security-headers.ts';

const STYLE = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 4rem auto; padding: 0 1rem; color: #1c2330; }
  pre { background: #f3f5f8; padding: 1rem; overflow: auto; border-radius: 6px; font-size: 14px; }
  a { color: #2b5fd9; }
`;

/** What somebody sees who opens the service in a browser. */
export function createWelcomePage({ graphiql }: { graphiql: boolean }): {
  send(response: ServerResponse): void;
} {
  const page = renderPage(graphiql);
  const styleHash = createHash('sha256').update(STYLE).digest('base64');
  const headers = {
    ...pageHeaders({ 'style-src': `'sha256-${styleHash}'`, 'img-src': 'data:' }),
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
  };
  return { send: (response) => void response.writeHead(200, headers).end(page) };
}

/** Addresses are relative, so that links work below any path of a proxy. */
function renderPage(graphiql: boolean): string {
  const door = graphiql
    ? 'Open <a href="graphql">GraphiQL</a> to try it, or send GraphQL to the same address, <code>graphql</code>,'
    : 'Send GraphQL to the address <code>graphql</code> below this page,';
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Cohort Sync</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
<h1>Cohort Sync</h1>
<p>Keeps Iterable lists equal to Mixpanel cohorts. ${door}
with your token in the header <code>Authorization: Bearer &lt;token&gt;</code>.</p>
<h2>First steps</h2>
<p>1. Connect Iterable.</p>
<pre>mutation { connectIntegration(input: {
  apiKey: "…", dataCenter: US, projectType: EMAIL
}) { status } }</pre>
<p>2. Connect Mixpanel, or upload a cohort with <code>importCohort</code>.</p>
<pre>mutation { connectMixpanel(input: {
  region: US, projectId: "…", serviceAccountUsername: "…", serviceAccountSecret: "…"
}) { status } }</pre>
<p>3. Choose a cohort and export it.</p>
<pre>{ cohorts { edges { node { id name memberCount exportable } } } }

mutation { startSync(input: { cohortId: "…", syncType: DYNAMIC }) { id status } }</pre>
<p>4. Watch it.</p>
<pre>subscription { syncProgress(runId: "…") { phase progress counts { members added rejected } } }</pre>
</html>
`;
}
