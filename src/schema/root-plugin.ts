import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import type { GraphQLFieldResolver } from 'graphql';
import type { Context } from '../context.ts';
import { COSTS } from './costs.ts';

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      root: RootPlugin<Types>;
    }
  }
}

const COST_OF_ROOT: Record<string, number> = {
  Query: COSTS.statement,
  Mutation: COSTS.mutation,
  Subscription: COSTS.statement,
};

/** What all fields of Query, Mutation and Subscription have in common. */
class RootPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  /** Each reads something, so none is as cheap as a field of a row. */
  override onOutputFieldConfig(config: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    const field = COST_OF_ROOT[config.kind];
    const { pothosOptions } = config;
    if (field === undefined || pothosOptions.complexity !== undefined) return config;
    const complexity = { field, multiplier: 1 };
    return { ...config, pothosOptions: { ...pothosOptions, complexity } } as PothosOutputFieldConfig<Types>;
  }

  /** After a mutation nothing that was remembered of the project is good any more: its caller is to see what it did. */
  override wrapResolve(
    resolver: GraphQLFieldResolver<unknown, Types['Context'], object>,
    { kind }: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> {
    if (kind !== 'Mutation') return resolver;
    return async (parent, args, context, info) => {
      try {
        return await resolver(parent, args, context, info);
      } finally {
        const { live, viewer } = context as unknown as Context;
        live.forget(viewer.project.id);
      }
    };
  }
}

SchemaBuilder.registerPlugin('root', RootPlugin);
