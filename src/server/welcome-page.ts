/** What somebody sees who opens the service in a browser. */
export const welcomePage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Cohort Sync</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 4rem auto; padding: 0 1rem; color: #1c2330; }
  pre { background: #f3f5f8; padding: 1rem; overflow: auto; border-radius: 6px; font-size: 14px; }
  a { color: #2b5fd9; }
</style>
<h1>Cohort Sync</h1>
<p>Keeps Iterable lists equal to Mixpanel cohorts. Everything is done through <a href="/graphql">GraphQL</a>;
send your token as the header <code>Authorization: Bearer &lt;token&gt;</code>.</p>
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
