import type { CodegenConfig } from '@graphql-codegen/cli';

const config: CodegenConfig = {
  schema: './scripts/printed-schema.ts',
  generates: {
    'schema.graphql': { plugins: ['./scripts/schema-text.ts'] },
  },
};

export default config;
