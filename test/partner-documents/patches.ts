export type DocumentName = 'iterable' | 'mixpanel-query' | 'mixpanel-ingestion';

/** Where a partner's document says something else than the partner does, and how we know. */
export interface Patch {
  document: DocumentName;
  /** Keys from the root on; '*' stands for each key that leads on. */
  at: string[];
  /** Put over what is there, key by key; lists are added to lists. */
  value: Record<string, unknown>;
  because: string;
}

const envelope = { $ref: '#/definitions/IterableApiResponse' };
const refusal = { content: { 'application/json': { schema: { $ref: '#/components/schemas/Refusal' } } } };
const queryRefusal = {
  content: {
    'application/json': {
      schema: {
        type: 'object',
        properties: { request: { type: 'string' }, error: { type: 'string' } },
        required: ['request', 'error'],
      },
    },
  },
};
const engageForm = [
  'paths',
  '/engage',
  'post',
  'requestBody',
  'content',
  'application/x-www-form-urlencoded',
  'schema',
  'properties',
];
const engageAnswer = [
  'paths',
  '/engage',
  'post',
  'responses',
  '200',
  'content',
  'application/json',
  'schema',
  'properties',
];

export const PATCHES: readonly Patch[] = [
  ...['createdAt', 'updatedAt', 'startAt', 'endedAt'].map(
    (name): Patch => ({
      document: 'iterable',
      at: ['definitions', '*', 'properties', name],
      value: { format: 'int64' },
      because: 'milliseconds since the epoch, as the description says, do not fit into an int32',
    }),
  ),
  {
    document: 'iterable',
    at: ['definitions', 'IterableApiResponse', 'properties', 'params'],
    value: { type: ['object', 'null'] },
    because: 'recorded answers say null',
  },
  {
    document: 'iterable',
    at: ['definitions', 'IterableApiResponse', 'properties', 'code'],
    value: { enum: ['Conflict'] },
    because: "it is the code of a list in use in Iterable's article on response codes",
  },
  ...['400', '401', '404', '409', '503'].map(
    (status): Patch => ({
      document: 'iterable',
      at: ['paths', '*', '*', 'responses', status],
      value: { schema: envelope },
      because: 'refusals have no schema in the document; all that were recorded come in this envelope',
    }),
  ),
  {
    document: 'iterable',
    at: ['paths', '*', '*', 'responses'],
    value: { '429': { schema: envelope } },
    because: 'rate limits are in the descriptions, the status is not in the responses',
  },
  ...['/api/lists/subscribe', '/api/lists/unsubscribe', '/api/users/bulkUpdate'].map(
    (path): Patch => ({
      document: 'iterable',
      at: ['paths', path, 'post', 'responses'],
      value: { '413': { schema: envelope } },
      because: 'clients have met 413 for a body over 4 MB',
    }),
  ),
  {
    document: 'iterable',
    at: ['paths', '/api/campaigns', 'get', 'responses'],
    value: { '400': { schema: envelope } },
    because: 'a page that is no number cannot be a 200, and parameters are refused with 400 everywhere else',
  },
  {
    document: 'iterable',
    at: ['paths', '/api/lists/{listId}/size', 'get'],
    value: { produces: ['text/plain'] },
    because: 'a bare number, which the schema calls a string',
  },
  {
    document: 'iterable',
    at: ['definitions', 'CampaignsResponse', 'properties', 'totalCampaignsCount'],
    value: { type: 'integer' },
    because: "a count; Iterable's own client reads a number",
  },
  ...['channelIds', 'messageTypeIds'].map(
    (name): Patch => ({
      document: 'iterable',
      at: ['definitions', 'ApiWebhookResponse', 'properties', name, 'items'],
      value: { type: 'integer' },
      because: "ids; Iterable's own client reads numbers",
    }),
  ),
  {
    document: 'mixpanel-query',
    at: [...engageForm, 'output_properties'],
    value: { type: 'string', format: 'json-names' },
    because: 'a field of a form is text: the JSON array of the description',
  },
  {
    document: 'mixpanel-query',
    at: [...engageForm, 'filter_by_cohort'],
    value: { format: 'json-cohort' },
    because: 'the description asks for a JSON object with the key id alone',
  },
  {
    document: 'mixpanel-query',
    at: [...engageAnswer, 'results', 'items', 'properties', '$distinct_id'],
    value: { type: 'string' },
    because: 'recorded answers have strings',
  },
  {
    document: 'mixpanel-query',
    at: engageAnswer,
    value: { computed_at: { type: 'string', format: 'date-time' } },
    because: 'it is in recorded answers',
  },
  {
    document: 'mixpanel-query',
    at: [
      'paths',
      '/cohorts/list',
      'post',
      'responses',
      '200',
      'content',
      'application/json',
      'schema',
      'items',
      'properties',
    ],
    value: { data_group_id: { type: ['integer', 'null'] } },
    because: 'it is in recorded answers: not null for a cohort of groups',
  },
  {
    document: 'mixpanel-query',
    at: ['paths', '*', 'post', 'responses'],
    value: {
      '400': queryRefusal,
      '401': queryRefusal,
      '402': queryRefusal,
      '403': queryRefusal,
      '429': queryRefusal,
    },
    because: 'the document has none but 200; users have quoted these',
  },
  {
    document: 'mixpanel-ingestion',
    at: [
      'components',
      'responses',
      'StrictInvalid',
      'content',
      'application/json',
      'schema',
      'properties',
      'failed_records',
      'items',
      'properties',
    ],
    value: { $insert_id: { type: 'string' } },
    because: 'the reference page calls it so',
  },
  {
    document: 'mixpanel-ingestion',
    at: [
      'components',
      'responses',
      'StrictInvalid',
      'content',
      'application/json',
      'schema',
      'properties',
      'failed_records',
      'items',
    ],
    value: { type: ['object', 'string'] },
    because: 'identity events are refused with a text in place of an object',
  },
  {
    document: 'mixpanel-ingestion',
    at: ['components', 'schemas'],
    value: {
      Refusal: {
        type: 'object',
        properties: { code: { type: 'integer' }, error: { type: 'string' }, status: { type: 'string' } },
        required: ['code', 'error', 'status'],
      },
    },
    because: 'the next one needs it',
  },
  {
    document: 'mixpanel-ingestion',
    at: ['paths', '/import', 'post', 'responses'],
    value: { '403': refusal },
    because: "an account that is signed in and asks for another's project has been answered so",
  },
  ...['StrictReceived', 'Received'].map(
    (answer): Patch => ({
      document: 'mixpanel-ingestion',
      at: ['components', 'responses', answer, 'content'],
      value: { 'text/plain': { schema: { type: 'string', enum: ['0', '1'] } } },
      because: "Mixpanel's own client sends a form with data, and reads 1 or 0 as text",
    }),
  ),
  {
    document: 'mixpanel-ingestion',
    at: ['components', 'responses', 'Received', 'content'],
    value: {
      'application/json': {
        schema: {
          type: 'object',
          properties: { error: { type: 'string' }, status: { type: 'integer', enum: [0, 1] } },
          required: ['error', 'status'],
        },
      },
    },
    because: 'the description of verbose says so',
  },
  {
    document: 'mixpanel-ingestion',
    at: ['components', 'responses', 'StrictReceived', 'content', 'application/json', 'schema', 'properties'],
    value: { error: { type: 'string' }, status: { type: ['string', 'integer'] } },
    because: 'an import by a form with verbose is answered as tracking is',
  },
  {
    document: 'mixpanel-ingestion',
    at: ['paths', '/track', 'post', 'responses'],
    value: { '413': refusal },
    because: 'no bound of tracking is documented; the sandbox has that of an import, and its answer',
  },
];
