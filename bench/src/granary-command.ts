import { fileURLToPath } from 'node:url';
import { nodeFlags } from 'granary/node-flags';

/** What Node is given to run `granary` as its first line does, before the command's own arguments. */
export const granaryCommand = [
  ...nodeFlags,
  fileURLToPath(new URL('../../packages/cli/bin/granary.mjs', import.meta.url)),
];
