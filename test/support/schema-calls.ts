import {
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
} from 'graphql';
import type { ApiClient, GraphqlAnswer } from './api-client.ts';

export type OperationKind = 'query' | 'mutation' | 'subscription';

/** A door of the API: a field of Query, Mutation or Subscription. */
export interface RootField {
  kind: OperationKind;
  name: string;
  field: GraphQLField<unknown, unknown>;
}

export interface Call {
  query: string;
  variables: Record<string, unknown>;
  /** It takes a file, so it is sent as a multipart request. */
  isUpload: boolean;
}

export function rootFieldsOf(schema: GraphQLSchema, kind?: OperationKind): RootField[] {
  const types = {
    query: schema.getQueryType(),
    mutation: schema.getMutationType(),
    subscription: schema.getSubscriptionType(),
  };
  return Object.entries(types)
    .filter(([typeKind]) => kind === undefined || kind === typeKind)
    .flatMap(([typeKind, type]) =>
      Object.entries(type?.getFields() ?? {}).map(([name, field]) => ({
        kind: typeKind as OperationKind,
        name,
        field,
      })),
    );
}

/** Where a field takes ids: "id", "input.cohortId". */
export function idPathsOf({ field }: RootField): string[] {
  return field.args.flatMap((arg) => idPathsIn(arg.type, arg.name));
}

function idPathsIn(type: GraphQLInputType, path: string): string[] {
  const named = getNamedType(type);
  if (isInputObjectType(named)) {
    return Object.values(named.getFields()).flatMap((field) =>
      idPathsIn(field.type, `${path}.${field.name}`),
    );
  }
  return named.name === 'ID' ? [path] : [];
}

/**
 * A call of a root field whose types fit: required arguments get a sample, those named in values (by path) get that
 * value, others are left out.
 */
export function callOf(
  root: RootField,
  { values = {}, selection }: { values?: Record<string, unknown>; selection?: string } = {},
): Call {
  const { kind, name, field } = root;
  const wanted = { ...NEEDED[name], ...values };
  const given = field.args.flatMap((arg) => {
    const value = sampleOf(arg.type, arg.name, wanted, isRequiredArgument(arg));
    return value === undefined ? [] : [{ arg, value }];
  });
  const declared = given.map(({ arg }) => `$${arg.name}: ${arg.type}`).join(', ');
  const passed = given.map(({ arg }) => `${arg.name}: $${arg.name}`).join(', ');
  const chosen = isLeafType(getNamedType(field.type)) ? '' : `{ ${selection ?? '__typename'} }`;
  return {
    query: `${kind} ${declared && `(${declared})`} { ${name}${passed && `(${passed})`} ${chosen} }`,
    variables: Object.fromEntries(given.map(({ arg, value }) => [arg.name, value])),
    isUpload: field.args.some(({ type }) => takesFile(type)),
  };
}

/** Sends a query or mutation as it has to be sent. */
export function sendCall(
  api: ApiClient,
  { query, variables, isUpload }: Call,
): Promise<GraphqlAnswer<unknown>> {
  if (!isUpload) return api.send(query, variables);
  const input = { ...(variables.input as Record<string, unknown>) };
  return api.upload(query, { input }, { name: 'people.csv', content: 'email\na@example.com\n' });
}

/** What tells one answer from another: of a bulk operation, what became of each item. */
export function shortSelectionOf({ field }: RootField): string {
  const named = getNamedType(field.type);
  return isObjectType(named) && isBulk(named) ? '__typename error { code }' : '__typename';
}

export function isBulk(type: GraphQLObjectType): boolean {
  const { error } = type.getFields();
  return error !== undefined && getNamedType(error.type).name === 'OperationError';
}

/** Everything that can be asked of a type, no type twice on one way down. */
export function wholeSelectionOf(type: GraphQLOutputType, above: string[] = []): string {
  const named = getNamedType(type);
  if (isLeafType(named)) return '';
  if (isInterfaceType(named)) return '__typename id';
  if (!isObjectType(named)) throw new Error(`Nothing is known of the type ${named.name}.`);
  const path = [...above, named.name];
  const fields = Object.values(named.getFields()).flatMap((field) => {
    const below = getNamedType(field.type);
    if (isLeafType(below)) return [field.name];
    if (path.includes(below.name)) return [];
    const given = field.args.flatMap(({ name }) =>
      name === 'first' ? ['first: 4'] : name === 'event' ? ['event: "emailOpen"'] : [],
    );
    const args = given.length === 0 ? '' : `(${given.join(', ')})`;
    return [`${field.name}${args} { ${wholeSelectionOf(below, path)} }`];
  });
  return ['__typename', ...fields].join(' ');
}

function takesFile(type: GraphQLInputType): boolean {
  const named = getNamedType(type);
  if (isInputObjectType(named))
    return Object.values(named.getFields()).some((field) => takesFile(field.type));
  return named.name === 'File';
}

/** What has to be given although the types do not say so. */
const NEEDED: Record<string, Record<string, unknown>> = {
  member: { email: 'nobody@example.com' },
  messagingUsage: { month: '2030-01' },
};

const SAMPLES: Record<string, unknown> = {
  ID: 'bm8gaWQ',
  String: 'something',
  Int: 1,
  Float: 0.5,
  Boolean: true,
  DateTime: '2031-01-01T00:00:00.000Z',
  File: null,
};

function sampleOf(
  type: GraphQLInputType,
  path: string,
  values: Record<string, unknown>,
  isRequired: boolean,
): unknown {
  if (path in values) return values[path];
  const isWanted = Object.keys(values).some((wanted) => wanted.startsWith(`${path}.`));
  if (!isWanted && !isRequired) return undefined;
  const inner = isNonNullType(type) ? type.ofType : type;
  if (isListType(inner)) return isWanted ? [sampleOf(inner.ofType, path, values, true)] : [];
  if (isEnumType(inner)) return inner.getValues()[0]!.name;
  if (!isInputObjectType(inner)) return SAMPLES[inner.name];
  return Object.fromEntries(
    Object.values(inner.getFields()).flatMap((field) => {
      const value = sampleOf(field.type, `${path}.${field.name}`, values, isRequiredInputField(field));
      return value === undefined ? [] : [[field.name, value]];
    }),
  );
}
