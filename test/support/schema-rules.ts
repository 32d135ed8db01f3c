import {
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  specifiedScalarTypes,
} from 'graphql';

/** Gives the places where a schema breaks a rule: Type, Type.field or Type.field.argument. */
export type SchemaRule = (schema: GraphQLSchema) => string[];

interface Place {
  path: string;
  kind: 'type' | 'field' | 'argument' | 'input field' | 'enum value';
  name: string;
  description?: string | null | undefined;
  deprecationReason?: string | null | undefined;
}

const ROOTS = ['Query', 'Mutation', 'Subscription'];
const GRAPHQL_NO_REASON = 'No longer supported';

function typesOf(schema: GraphQLSchema): GraphQLNamedType[] {
  return Object.values(schema.getTypeMap()).filter(
    (type) => !type.name.startsWith('__') && !specifiedScalarTypes.some(({ name }) => name === type.name),
  );
}

const objectsOf = (schema: GraphQLSchema) => typesOf(schema).filter(isObjectType);

function fieldsOf(schema: GraphQLSchema): { path: string; field: GraphQLField<unknown, unknown> }[] {
  return typesOf(schema)
    .filter((type) => isObjectType(type) || isInterfaceType(type))
    .flatMap((type) =>
      Object.values(type.getFields()).map((field) => ({ path: `${type.name}.${field.name}`, field })),
    );
}

/** Everything that has a name. */
function placesOf(schema: GraphQLSchema): Place[] {
  const places: Place[] = fieldsOf(schema).flatMap(({ path, field }) => [
    { ...field, path, kind: 'field' as const, name: field.name },
    ...field.args.map((arg) => ({
      ...arg,
      path: `${path}.${arg.name}`,
      kind: 'argument' as const,
      name: arg.name,
    })),
  ]);
  for (const type of typesOf(schema)) {
    const { name, description } = type;
    places.push({ path: name, kind: 'type', name, description });
    const [kind, members] = isInputObjectType(type)
      ? (['input field', Object.values(type.getFields())] as const)
      : (['enum value', isEnumType(type) ? type.getValues() : []] as const);
    for (const member of members)
      places.push({ ...member, path: `${name}.${member.name}`, kind, name: member.name });
  }
  return places;
}

const pathsWhere = (schema: GraphQLSchema, isWrong: (place: Place) => boolean) =>
  placesOf(schema)
    .filter(isWrong)
    .map(({ path }) => path);

const STYLES: Record<Place['kind'], RegExp> = {
  type: /^([A-Z][a-z0-9]*)+$/,
  field: /^[a-z][a-zA-Z0-9]*$/,
  argument: /^[a-z][a-zA-Z0-9]*$/,
  'input field': /^[a-z][a-zA-Z0-9]*$/,
  'enum value': /^[A-Z][A-Z0-9_]*$/,
};

/** Whether a type has the fields, written as in the schema language. */
function lacks(type: GraphQLNamedType | undefined, wanted: Record<string, RegExp>): boolean {
  if (!isObjectType(type)) return true;
  const fields = type.getFields();
  return Object.entries(wanted).some(([name, shape]) => !shape.test(String(fields[name]?.type)));
}

/** The recommended rules of graphql-schema-linter and @graphql-eslint (schema and Relay), and some of our own. */
export const SCHEMA_RULES: Record<string, SchemaRule> = {
  'everything has a description': (schema) => pathsWhere(schema, ({ description }) => !description?.trim()),
  'descriptions begin with a capital': (schema) =>
    pathsWhere(schema, ({ description }) => /^[^A-Z0-9]/.test(description ?? '')),
  'deprecations have a reason': (schema) =>
    pathsWhere(
      schema,
      ({ deprecationReason }) =>
        deprecationReason != null && ['', GRAPHQL_NO_REASON].includes(deprecationReason.trim()),
    ),
  'types are PascalCase, fields camelCase, values UPPER_CASE': (schema) =>
    pathsWhere(schema, ({ kind, name }) => !STYLES[kind].test(name)),
  'names do not say what kind they are': (schema) =>
    pathsWhere(schema, ({ kind, name, path }) =>
      kind === 'field'
        ? /^(Query\.(query|get)|Mutation\.mutation|Subscription\.subscription)|(Query|Mutation|Subscription)$/.test(
            path,
          )
        : kind === 'type' && /^(Type|Enum|Interface|Union)[A-Z]|(Enum|Interface|Union)$/.test(name),
    ),
  'fields do not repeat the name of their type': (schema) =>
    fieldsOf(schema)
      .filter(({ path, field }) => field.name.toLowerCase().startsWith(path.split('.')[0]!.toLowerCase()))
      .map(({ path }) => path),
  'inputs end in Input, and nothing else does': (schema) =>
    typesOf(schema)
      .filter((type) => isInputObjectType(type) !== type.name.endsWith('Input'))
      .map(({ name }) => name),
  'mutations take one input, or ids': (schema) =>
    Object.values(schema.getMutationType()!.getFields()).flatMap((field) =>
      field.args
        .filter(({ name, type }) =>
          name === 'input'
            ? field.args.length > 1 || !isNonNullType(type)
            : getNamedType(type).name !== 'ID' || !isNonNullType(type),
        )
        .map(({ name }) => `Mutation.${field.name}.${name}`),
    ),
  'a mutation and its input share a name': (schema) =>
    Object.values(schema.getMutationType()!.getFields())
      .filter(({ name, args }) => {
        const input = args.find((arg) => arg.name === 'input');
        return (
          input !== undefined &&
          getNamedType(input.type).name !== `${name[0]!.toUpperCase()}${name.slice(1)}Input`
        );
      })
      .map(({ name }) => `Mutation.${name}`),
  'mutations answer with objects': (schema) =>
    Object.values(schema.getMutationType()!.getFields())
      .filter(({ type }) => !isObjectType(getNamedType(type)))
      .map(({ name }) => `Mutation.${name}`),
  'root fields of queries and mutations are nullable': (schema) =>
    fieldsOf(schema)
      .filter(({ path, field }) => /^(Query|Mutation)\./.test(path) && isNonNullType(field.type))
      .map(({ path }) => path),
  'objects have an id': (schema) =>
    objectsOf(schema)
      .filter(({ name }) => !ROOTS.includes(name) && !/(Connection|Edge|PageInfo)$/.test(name))
      .filter((type) => String(type.getFields().id?.type) !== 'ID!')
      .map(({ name }) => name),
  'connections are those of Relay': (schema) =>
    objectsOf(schema)
      .filter(({ name }) => name.endsWith('Connection'))
      .filter(({ name }) => {
        const row = name.replace(/Connection$/, '');
        return (
          lacks(schema.getType(name), {
            edges: new RegExp(`^\\[${row}Edge!?\\]!?$`),
            pageInfo: /^PageInfo!$/,
            totalCount: /^Int!$/,
          }) || lacks(schema.getType(`${row}Edge`), { node: new RegExp(`^${row}!?$`), cursor: /^String!$/ })
        );
      })
      .map(({ name }) => name),
  'page infos are those of Relay': (schema) =>
    lacks(schema.getType('PageInfo'), {
      hasNextPage: /^Boolean!$/,
      hasPreviousPage: /^Boolean!$/,
      startCursor: /^String$/,
      endCursor: /^String$/,
    })
      ? ['PageInfo']
      : [],
  'whatever comes in pages takes first and after': (schema) =>
    fieldsOf(schema)
      .filter(({ field }) => getNamedType(field.type).name.endsWith('Connection'))
      .filter(({ field: { args } }) => {
        const typeOf = (name: string) => String(args.find((arg) => arg.name === name)?.type);
        return typeOf('first') !== 'Int' || typeOf('after') !== 'String';
      })
      .map(({ path }) => path),
  'lists have no empty places': (schema) =>
    fieldsOf(schema)
      .filter(({ field: { type } }) => {
        const list = isNonNullType(type) ? type.ofType : type;
        return isListType(list) && !isNonNullType(list.ofType);
      })
      .map(({ path }) => path),
  'types are used': (schema) => {
    const text = new Set(
      placesOf(schema).flatMap(({ kind, ...place }) =>
        kind === 'enum value' || kind === 'type'
          ? []
          : [getNamedType((place as unknown as { type: GraphQLNamedType }).type).name],
      ),
    );
    return typesOf(schema)
      .filter((type) => !ROOTS.includes(type.name) && !text.has(type.name))
      .filter((type) => !(isObjectType(type) && type.getInterfaces().some(({ name }) => text.has(name))))
      .map(({ name }) => name);
  },
};
