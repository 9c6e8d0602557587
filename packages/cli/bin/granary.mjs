#!/usr/bin/env -S node --max-semi-space-size=2 --heap-growing-percent=400 --expose-gc
import { statSync } from 'node:fs';

const from = (path) => new URL(path, import.meta.url);
const changed = (path) => statSync(from(path), { throwIfNoEntry: false })?.mtimeMs ?? 0;

const bundled = changed('../bundle/main.js');
// In a checkout that was compiled again since, without a bundle.
const compiled = Math.max(
  changed('../dist/main.js'),
  ...['cli', 'bridge', 'farmer', 'renter', 'payments', 'nat', 'protocol', 'erasure', 'kad'].map(
    (name) => changed(`../../${name}/dist/.tsbuildinfo`),
  ),
);
if (bundled === 0 && compiled === 0) {
  console.error('granary: it is not built yet: run "npm run build" in the checkout');
  process.exit(1);
}
// Who asks for that much wants to read stack traces, too; reading the maps takes time.
const { GRANARY_LOG_LEVEL: level = '' } = process.env;
if (/--log-level[= ](debug|trace)/.test(process.argv.join(' ')) || /debug|trace/.test(level)) {
  process.setSourceMapsEnabled(true);
}
await import(from(bundled > compiled ? '../bundle/main.js' : '../dist/main.js').href);
