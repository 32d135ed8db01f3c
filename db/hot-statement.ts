import { createHash } from 'node:crypto';
import {
  type Compilable,
  type CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type RawBuilder,
  sql,
} from 'kysely';
import type { Db } from './connect.ts';
import { asHot, hotSenderOf } from './hot-client.ts';
import type { Tables } from './tables.ts';

/**
 * So many variants of one statement are named. PostgreSQL keeps each of them for each connection, some 100 kB, and it is
 * callers who decide how many there are; a variant beyond them is compiled and planned anew each time.
 */
const MAX_VARIANTS = 32;

/** A parameter of a statement that is compiled before its values are known. */
class Slot {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** Compiles, and is connected to nothing. */
const compiler = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});

/** A query of Kysely, or a text of sql``. */
type Buildable = Pick<RawBuilder<unknown>, 'toOperationNode' | 'compile'> | Compilable;

type SlotOf<Values> = <Name extends keyof Values & string>(name: Name) => RawBuilder<Values[Name]>;

export interface HotStatement<Values> {
  /**
   * Runs the variant with this key; `build` makes it the first time, so the key says all that the text depends on. Gives
   * each row as the array of its values, in the order in which they are selected.
   */
  run(
    db: Db,
    key: string,
    build: (db: Db, slot: SlotOf<Values>) => Buildable,
    values: Values,
  ): Promise<unknown[][]>;
}

interface Variant {
  compiled: CompiledQuery;
  slots: string[];
  name: string | undefined;
}

/**
 * A statement that is asked again and again: Kysely builds and compiles it once, and PostgreSQL plans it once for each
 * connection. Works on whatever Kysely the caller has, in a transaction too. One that is the same for most who ask is
 * shared: whoever asks while it is under way waits for the next, which is sent once for all of them.
 */
export function hotStatement<Values extends object>(
  noun: string,
  { isShared = false }: { isShared?: boolean } = {},
): HotStatement<Values> {
  const variants = new Map<string, Variant>();

  function compile(build: (db: Db, slot: SlotOf<Values>) => Buildable): Variant {
    const built = build(compiler, (name) => sql.val(new Slot(name)) as RawBuilder<never>);
    const compiled = built.compile(compiler);
    const slots = compiled.parameters.map((value) => {
      if (value instanceof Slot) return value.name;
      throw new Error(`A value of ${noun} is no slot: each use of the variant would have the first one's.`);
    });
    if (variants.size >= MAX_VARIANTS) return { compiled, slots, name: undefined };
    return { compiled, slots, name: `${noun}_${createHash('sha1').update(compiled.sql).digest('hex')}` };
  }

  return {
    async run(db, key, build, values) {
      let variant = variants.get(key);
      if (!variant) {
        variant = compile(build);
        if (variant.name !== undefined) variants.set(key, variant);
      }
      const { compiled, slots } = variant;
      const parameters = asHot(
        slots.map((name) => values[name as keyof Values]),
        variant.name,
      );
      const send = hotSenderOf(db);
      const { rows } = send
        ? await send(compiled.sql, parameters, { isShared })
        : await db.executeQuery<unknown[]>({ ...compiled, parameters });
      return rows;
    },
  };
}
