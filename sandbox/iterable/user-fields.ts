type FieldType = 'string' | 'date' | 'long' | 'double' | 'boolean' | 'object';

export interface FieldMismatch {
  name: string;
  expectedType: FieldType;
  incomingType: FieldType;
  offendingValue: unknown;
}

export interface CheckedFields {
  /** Without what the project does not know and should not. */
  dataFields: Record<string, unknown>;
  /** New ones, for add. */
  created: Map<string, FieldType>;
  filteredOut: string[];
}

/** Names and types of what the profiles of a project hold. The type of a field never changes. */
export interface UserFields {
  readonly types: ReadonlyMap<string, FieldType>;
  check(
    dataFields: Record<string, unknown>,
    options: { createNewFields: boolean },
  ): CheckedFields | { mismatches: FieldMismatch[] };
  add(created: ReadonlyMap<string, FieldType>): void;
}

const BUILT_IN: [string, FieldType][] = [
  ['email', 'string'],
  ['userId', 'string'],
  ['phoneNumber', 'string'],
  ['signupDate', 'date'],
  ['signupSource', 'string'],
  ['profileUpdatedAt', 'date'],
  ['emailListIds', 'long'],
  ['userListIds', 'long'],
];

export function createUserFields(): UserFields {
  const types = new Map(BUILT_IN);
  return {
    types,
    check(dataFields, { createNewFields }) {
      const entries = Object.entries(dataFields);
      const filteredOut = createNewFields
        ? []
        : entries.map(([name]) => name).filter((name) => !types.has(name));
      const kept = Object.fromEntries(entries.filter(([name]) => !filteredOut.includes(name)));
      const given = [...typesOf(kept)];
      const mismatches = given.flatMap(({ name, type, value }) => {
        const expectedType = types.get(name);
        return expectedType === undefined || expectedType === type
          ? []
          : [{ name, expectedType, incomingType: type, offendingValue: value }];
      });
      if (mismatches.length > 0) return { mismatches };
      const created = given.filter(({ name }) => !types.has(name));
      return {
        dataFields: kept,
        created: new Map(created.map(({ name, type }) => [name, type])),
        filteredOut,
      };
    },
    add(created) {
      for (const [name, type] of created) types.set(name, type);
    },
  };
}

/** Also of what is in objects: address.city. */
function* typesOf(
  fields: Record<string, unknown>,
  prefix = '',
): Generator<{ name: string; type: FieldType; value: unknown }> {
  for (const [key, value] of Object.entries(fields)) {
    const first: unknown = Array.isArray(value) ? value[0] : value;
    if (first === null || first === undefined) continue;
    const type = typeOf(first);
    yield { name: prefix + key, type, value };
    if (type === 'object' && !Array.isArray(value)) {
      yield* typesOf(first as Record<string, unknown>, `${prefix}${key}.`);
    }
  }
}

function typeOf(value: unknown): FieldType {
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'number') return Number.isInteger(value) ? 'long' : 'double';
  if (typeof value === 'object') return 'object';
  return /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d/.test(String(value)) ? 'date' : 'string';
}
