import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (name: string) =>
  fileURLToPath(new URL(`./packages/${name}/src/index.ts`, import.meta.url));

// Unit tests run on the sources; end-to-end tests run the built command, as a user would.
const alias = [
  'erasure',
  'kad',
  'nat',
  'protocol',
  'payments',
  'farmer',
  'renter',
  'bridge',
  'web',
].map((name) => ({ find: `@granary/${name}`, replacement: source(name) }));

// What a package offers besides its index.
const client = fileURLToPath(new URL('./packages/bridge/src/client/index.ts', import.meta.url));

// A package's own choices by condition (`imports` in its package.json) lead to its built files.
const imports = [
  {
    find: /^#(kad|renter)\/(.*)$/,
    replacement: fileURLToPath(new URL('./packages/$1/src/$2.ts', import.meta.url)),
  },
];

/** Networks of real processes. */
const endToEnd = {
  testTimeout: 300_000,
  hookTimeout: 120_000,
  // They share one disk: a stall of the machine may fail a test once. The report says so.
  retry: 1,
};

/** End-to-end tests that share the machine with no other: browsers, small internets, what kills at set times. */
const alone = [
  'test/e2e/{browser-dht,browser-renter,dashboard,web-app,reachability,port-mapping}.test.ts',
  'test/e2e/{bridge-crash,bridge-database}.test.ts',
  'test/e2e/{nat-lab,proxy}/**/*.test.ts',
];

export default defineConfig({
  resolve: {
    alias: [{ find: '@granary/bridge/client', replacement: client }, ...alias, ...imports],
  },
  test: {
    // Many tests wait more than they reckon; by itself vitest would use one worker on two cores.
    maxWorkers: Math.max(2, availableParallelism()),
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'bench/src/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: alone,
          ...endToEnd,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e-alone',
          include: alone,
          ...endToEnd,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
    coverage: {
      provider: 'v8',
      include: ['packages/*/src/**/*.ts'],
      exclude: [
        '**/*.test.ts',
        '**/generated/**',
        '**/index.ts',
        '**/assembly/**',
        '**/*.test-support.ts',
        'packages/cli/**',
      ],
      reporter: ['text-summary', 'html'],
    },
  },
});
