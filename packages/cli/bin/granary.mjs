#!/usr/bin/env -S node --max-semi-space-size=2
import { existsSync } from 'node:fs';

const main = new URL('../dist/main.js', import.meta.url);
if (!existsSync(main)) {
  console.error('granary: it is not built yet: run "npm run build" in the checkout');
  process.exit(1);
}
await import(main.href);
