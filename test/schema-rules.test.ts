import { buildSchema as buildFromText } from 'graphql';
import { expect, test } from 'vitest';
import { buildSchema } from '../src/schema/schema.ts';
import { SCHEMA_RULES } from './support/schema-rules.ts';

const IS_A_PART = 'It belongs to the object that shows it, and docs/browser-apps.md tells caches so.';
const IS_A_RESULT = 'It is the answer of a mutation, and is not kept.';
const BEGINS_WITH_A_NAME = 'It begins with a name that is written so.';
const PREDATES = 'Promised in the contract before there was the rule; an input for one choice says no more.';

/** Places that may break a rule, and why. */
const EXCEPTIONS: Record<string, Record<string, string>> = {
  'descriptions begin with a capital': {
    'DataCenter.EU': BEGINS_WITH_A_NAME,
    'DataCenter.US': BEGINS_WITH_A_NAME,
    ErrorCode: BEGINS_WITH_A_NAME,
    'Export.listName': BEGINS_WITH_A_NAME,
    'MixpanelRegion.EU': BEGINS_WITH_A_NAME,
    'MixpanelRegion.IN': BEGINS_WITH_A_NAME,
    'MixpanelRegion.US': BEGINS_WITH_A_NAME,
    SyncCounts: BEGINS_WITH_A_NAME,
  },
  'mutations take one input, or ids': {
    'Mutation.replaceIntegrationWebhook.provider': PREDATES,
    'Mutation.runExport.includeKept': PREDATES,
    'Mutation.startSyncs.inputs': 'It takes the input of startSync, several times.',
    'Mutation.stopExport.listAction': PREDATES,
  },
  'root fields of queries and mutations are nullable': {
    'Query.viewer': 'Whoever is answered at all is somebody; it needs no look into the database.',
  },
  'objects have an id': {
    CreatedApiToken: IS_A_RESULT,
    CreatedProject: IS_A_RESULT,
    ExportChange: IS_A_RESULT,
    ExportDelay: IS_A_PART,
    FileReading: IS_A_PART,
    MessagingCampaignUsage: IS_A_PART,
    MessagingEventUsage: IS_A_PART,
    MessagingWhatIf: IS_A_PART,
    OperationError: IS_A_PART,
    RejectionCount: IS_A_PART,
    RemovalGuard: IS_A_PART,
    RunNotice: IS_A_PART,
    RunWait: IS_A_PART,
    SyncCounts: IS_A_PART,
    SyncError: IS_A_PART,
    SyncPreview: IS_A_RESULT,
    SyncStart: IS_A_RESULT,
    Viewer: 'There is one for each caller.',
    WebhookEndpoint: IS_A_PART,
  },
};

const schema = buildSchema();

test.each(Object.keys(SCHEMA_RULES))('in the schema %s, but for exceptions with a reason', (rule) => {
  expect(SCHEMA_RULES[rule]!(schema).toSorted()).toEqual(Object.keys(EXCEPTIONS[rule] ?? {}).toSorted());
});

const BAD = buildFromText(`
  "of things"
  type Query { getThing: thing, list: [thing], rows(first: Int): RowConnection! }
  type Mutation { make(name: String, input: MakeThing): Int, other(input: OneInput!): thing }
  type thing { thingName: String @deprecated }
  type RowConnection { edges: [RowEdge!]!, pageInfo: PageInfo! }
  type RowEdge { node: Int, cursor: String! }
  type PageInfo { hasNextPage: Boolean! }
  input MakeThing { name: String }
  input OneInput { name: String }
  enum UnusedEnum { small }
`);

test.each(Object.entries(SCHEMA_RULES))('a schema in which it is not so that %s is found', (_name, rule) => {
  expect(rule(BAD)).not.toEqual([]);
});
