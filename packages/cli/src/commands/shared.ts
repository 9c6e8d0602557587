import { isShareLink } from '@granary/protocol';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import { grantOf } from '../given-grant.js';
import { checkFree, get, ls } from './objects.js';
import { type GetCommandOptions, type Readable, readerParts, writeReadable } from './readable.js';

/** `granary get` and `granary cat`: an object of one's own, of an access grant, or what a share link leads to. */
export async function getAny(
  context: Context,
  what: string,
  file: string | undefined,
  options: GetCommandOptions,
): Promise<void> {
  if (file !== undefined && options.output !== undefined && file !== options.output) {
    throw new CliError('CLI_USAGE', 'name one file to write, not two');
  }
  const target = file ?? options.output;
  if (isShareLink(what)) return getShared(context, what, target, options);
  const grant = grantOf(options.grant);
  if (grant === undefined) return get(context, what, target, options);
  const { getGranted } = await import('./granted.js');
  return getGranted(context, grant, what, target, options);
}

/** `granary ls`: of one's own, or of an access grant. */
export async function lsAny(
  context: Context,
  remote: string | undefined,
  options: { grant?: string },
): Promise<void> {
  const grant = grantOf(options.grant);
  if (grant === undefined) return ls(context, remote);
  const { lsGranted } = await import('./granted.js');
  return lsGranted(context, grant, remote);
}

/** Read what a share link leads to. Needs no keys, and leaves none. */
async function getShared(
  context: Context,
  link: string,
  file: string | undefined,
  options: GetCommandOptions,
): Promise<void> {
  const { openShare } = await import('@granary/renter');
  if (file !== undefined) await checkFree(file, options.force);
  const begun = Date.now();
  const shared = await openShare(link, readerParts(context));
  try {
    const readable: Readable = {
      ...shared.info,
      read: (how) => shared.read(how),
      readToFile: (target, how) => shared.readToFile(target, how),
    };
    await writeReadable(context, readable, file, options, begun);
  } finally {
    await shared.close();
  }
}
