import type { GraphQLSchema } from 'graphql';
import './scalars.ts';
import './enums.ts';
import './project.ts';
import './api-token.ts';
import './mixpanel-account.ts';
import './integration.ts';
import './cohort.ts';
import './export.ts';
import './sync-preview.ts';
import './sync-run.ts';
import './member.ts';
import './messaging-usage.ts';
import './subscriptions.ts';
import { builder } from './builder.ts';

/** The public API. Built without opening anything. */
export function buildSchema(): GraphQLSchema {
  return builder.toSchema({ sortSchema: true });
}
