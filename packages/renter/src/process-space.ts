import { readFileSync, readlinkSync } from 'node:fs';

let known: { readonly name: string | undefined } | undefined;

/**
 * The name of what this process can see the processes of: the running system and, in it, the space of
 * process IDs. Undefined where that can't be told (not on Linux).
 */
export function processSpace(): string | undefined {
  known ??= { name: look() };
  return known.name;
}

function look(): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return undefined;
  }
}
