import { setTimeout as wait } from 'node:timers/promises';
import { type LogLine, type ServiceProcess, startService } from '../../test/support/service-process.ts';
import { createApi } from '../support/api.ts';

/** How long the API may be away: a gateway, or the database, has just been struck. */
const API_PATIENCE_MS = 60_000;

/** One place in the cluster; when its process is killed another one takes it at once. */
export interface ClusterNode {
  roles: string;
  service: ServiceProcess;
}

export interface Cluster extends AsyncDisposable {
  gateway: ClusterNode;
  workers: readonly ClusterNode[];
  /** SIGKILL, and a successor begins to start. */
  kill(node: ClusterNode): void;
  /** Who has taken a run up for the so-manieth time, if that one still lives. */
  executor(runId: string, attempt: number): ClusterNode | undefined;
  /** Asks whatever gateway there is, again and again while there is none. */
  query: ReturnType<typeof createApi>['query'];
  /** Everything logged, by the dead ones too. */
  logs(): LogLine[];
}

/** Real processes of the service on one database. Resolves when all are up. */
export async function startCluster(env: Record<string, string>, workerCount: number): Promise<Cluster> {
  const buried: LogLine[] = [];
  const startNode = (roles: string): ClusterNode => ({
    roles,
    service: startService({ ...env, ROLES: roles }),
  });
  const gateway = startNode('gateway,scheduler');
  const workers = Array.from({ length: workerCount }, () => startNode('worker'));
  const nodes = [gateway, ...workers];
  await Promise.all(nodes.map((node) => node.service.up()));
  const ended: Promise<unknown>[] = [];
  return {
    gateway,
    workers,
    kill(node) {
      const { service } = node;
      ended.push(service.end('SIGKILL').then(() => buried.push(...service.logs())));
      node.service = startService({ ...env, ROLES: node.roles });
    },
    executor: (runId, attempt) =>
      workers.find(({ service }) =>
        service
          .logs()
          .some(
            (line) =>
              line.runId === runId && line.attempt === attempt && /^run (started|taken up)$/.test(line.msg),
          ),
      ),
    async query(text, variables) {
      const giveUpAt = performance.now() + API_PATIENCE_MS;
      for (;;) {
        try {
          const url = await gateway.service.up();
          return await createApi(url, env.BOOTSTRAP_TOKEN!).query(text, variables);
        } catch (error) {
          if (performance.now() > giveUpAt) throw error;
          await wait(200);
        }
      }
    },
    logs: () => [...buried, ...nodes.flatMap(({ service }) => service.logs())],
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map(({ service }) => service[Symbol.asyncDispose]()));
      await Promise.all(ended);
    },
  };
}
