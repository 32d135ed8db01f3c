import type { SharedPool } from '../db/shared-pool.ts';
import type { Role } from '../db/values.ts';
import type { EventFiling } from './events/file-events.ts';
import type { Loaders } from './resolvers/loaders.ts';
import type { FinalCounts } from './resolvers/sync-run.ts';
import type { SyncDeps } from './sync/deps.ts';
import type { Live } from './sync/live.ts';

/** Who calls, and for which project. */
export interface Viewer {
  tokenId: string;
  tokenName: string;
  role: Role;
  project: { id: string; name: string; isFirst: boolean };
}

/** The gateway's: db is from its own pool, whose statements are bounded in time. */
export interface GatewayDeps extends SyncDeps {
  /** Lends the gateway's connections to callers. */
  pool: SharedPool;
  /** For what takes as long as it takes: the engine's connections. */
  engine: SyncDeps;
}

/** What a resolver works with; made for each operation. */
export interface Context {
  viewer: Viewer;
  sync: GatewayDeps;
  live: Live;
  load: Loaders;
  /** How many each run that is over rejected for which reason. */
  finalCounts: FinalCounts;
  events: EventFiling;
  /** A token opens nothing from now on, also where it was remembered. */
  forgetToken(tokenId: string): void;
}
