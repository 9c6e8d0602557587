import js from '@eslint/js';
import importX from 'eslint-plugin-import-x';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import tseslint from 'typescript-eslint';

/**
 * The layers of the design, top to bottom. A package may import only what its row names; every
 * other package is a forbidden zone for it.
 */
const layers = {
  cli: ['web', 'bridge', 'farmer', 'renter', 'payments', 'nat', 'protocol', 'erasure', 'kad'],
  web: ['renter', 'protocol', 'kad', 'erasure'],
  bridge: ['renter', 'payments', 'nat', 'protocol', 'erasure', 'kad'],
  farmer: ['payments', 'nat', 'protocol', 'erasure', 'kad'],
  renter: ['payments', 'nat', 'protocol', 'erasure', 'kad'],
  payments: ['protocol', 'erasure', 'kad'],
  nat: ['kad'],
  protocol: ['kad', 'erasure'],
  erasure: [],
  kad: [],
};
const packages = Object.keys(layers);

const layerRules = packages.map((name) => ({
  files: [`packages/${name}/src/**/*.{ts,tsx}`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: packages
              .filter((other) => other !== name && !layers[name].includes(other))
              .flatMap((other) => [`@granary/${other}`, `@granary/${other}/*`]),
            message: `The layers of the design do not let ${name} import this.`,
          },
          {
            // The client of the bridge's REST API is a face of its own, for browsers, too.
            group: ['@granary/*/*', '!@granary/bridge/client', '../../**/src/**'],
            message: 'Import a package by its public face only.',
          },
        ].filter((pattern) => pattern.group.length > 0),
      },
    ],
  },
}));

/**
 * Nodes open connections through a `Dialer` and in no other way, or a proxy would be walked around.
 * These files are that way, or take connections. What looks for a router (nat) asks the dialer whether
 * it may.
 */
const dialing = [
  'packages/cli/src/dashboard/farmer-health.ts',
  'packages/kad/src/direct-dialer.ts',
  'packages/kad/src/https-transport.ts',
  'packages/kad/src/tls.ts',
  'packages/kad/src/websocket-dial.ts',
  'packages/kad/src/websocket-listener.ts',
  'packages/renter/src/transfer-dial.ts',
];
const dialRules = {
  files: ['packages/*/src/**/*.ts'],
  ignores: [
    ...dialing,
    'packages/nat/src/**',
    // Pages: all that they may speak to is where they came from, and the browser sees to that.
    'packages/web/src/{design,dashboard,app,stream-worker}/**',
    '**/*.test.ts',
    '**/*.test-support.ts',
  ],
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      {
        paths: [
          ...['node:dns', 'node:dns/promises', 'node:dgram', 'node:http2', 'undici'].map(
            (name) => ({
              name,
              message: 'Open connections through a Dialer (packages/kad/src/dialer.ts).',
            }),
          ),
          ...Object.entries({
            'node:net': ['connect', 'createConnection', 'Socket'],
            'node:tls': ['connect', 'TLSSocket'],
            'node:http': ['request', 'get'],
            'node:https': ['request', 'get'],
            ws: ['WebSocket'],
          }).map(([name, importNames]) => ({
            name,
            importNames,
            allowTypeImports: true,
            message: 'Open connections through a Dialer (packages/kad/src/dialer.ts).',
          })),
        ],
      },
    ],
    'no-restricted-globals': [
      'error',
      ...['fetch', 'WebSocket'].map((name) => ({
        name,
        message: 'Open connections through a Dialer (packages/kad/src/dialer.ts).',
      })),
    ],
  },
};

export default tseslint.config(
  {
    ignores: [
      '**/dist/**',
      '**/bundle/**',
      '**/coverage/**',
      '**/node_modules/**',
      '**/generated/**',
      'packages/*/assembly/**',
    ],
  },
  js.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    extends: [...tseslint.configs.recommended],
    plugins: { 'import-x': importX },
    languageOptions: { parserOptions: { tsconfigRootDir: import.meta.dirname } },
    settings: {
      'import-x/extensions': ['.ts', '.tsx'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts', '.tsx'] },
      'import-x/resolver-next': [
        createTypeScriptImportResolver({
          project: 'packages/*/tsconfig.json',
          noWarnOnMultipleProjects: true,
        }),
      ],
    },
    rules: {
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['packages/*/src/**/*.{ts,tsx}', 'bench/src/**/*.ts'],
    ignores: ['**/*.test.ts', '**/*.test-support.ts'],
    extends: [tseslint.configs.base],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
    },
  },
  ...layerRules,
  dialRules,
  {
    files: ['**/*.js', '**/*.mjs'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        Buffer: 'readonly',
        URL: 'readonly',
        setTimeout: 'readonly',
        setInterval: 'readonly',
        clearTimeout: 'readonly',
        performance: 'readonly',
        fetch: 'readonly',
        WebAssembly: 'readonly',
      },
    },
  },
);
