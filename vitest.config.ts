import { defineConfig } from 'vitest/config';

export default defineConfig({
  // As Node resolves imports. With the condition "development", which is added otherwise, our files would get another
  // copy of graphql than its libraries do, and no error would be an instance of the class that it is compared with.
  ssr: { resolve: { conditions: ['module', 'node'] } },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    // Many tests wait for a partner that does not answer; meanwhile another one has the processor.
    maxWorkers: 4,
    // Loading the service costs more than many a file; what a test changes it puts back.
    isolate: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // A machine that has much to do takes longer than the second that is usual.
    expect: { poll: { timeout: 30_000 } },
    // .ci/run reads the counts from the file.
    reporters: ['default', ['json', { outputFile: 'node_modules/.vitest/results.json' }]],
  },
});
