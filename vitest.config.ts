import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/longest-first.js';

const cores = availableParallelism();

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

/** Networks of real processes, each file its own, on ports or in network namespaces of its own. */
const endToEnd = {
  testTimeout: 300_000,
  hookTimeout: 240_000,
  // They share one disk: a stall of the machine may fail a test once. The report says so. `test/e2e/support/anew.ts` has
  // what lets a second try begin as the first one did.
  retry: 1,
};

/** End-to-end tests that share the machine with no other: a busy page is slow to show what is waited for. */
const alone = ['test/e2e/{browser-dht,browser-renter,dashboard,web-app}.test.ts'];

export default defineConfig({
  resolve: {
    alias: [{ find: '@granary/bridge/client', replacement: client }, ...alias, ...imports],
  },
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'bench/src/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Many tests wait more than they reckon; by itself vitest would use one worker on two cores.
          maxWorkers: Math.max(2, cores),
          // Files share the modules of their worker, since loading them again for each costs as much as many tests.
          // So none may change what is global, or keep it for itself, without putting it back.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: alone,
          ...endToEnd,
          // They wait for others half of the time. More at once would need much memory.
          maxWorkers: Math.min(cores + 1, 8),
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e-alone',
          include: alone,
          ...endToEnd,
          maxWorkers: 1,
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
