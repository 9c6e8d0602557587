import { open } from 'node:fs/promises';
import { formatAccessGrant } from '@granary/protocol';
import type { AccessGrantInfo, Renter } from '@granary/renter';
import { CliError } from '../cli-error.js';
import { type Context, withRenter } from '../context.js';
import { printable, table } from '../output.js';
import { minuteOf, pageOf } from '../page-of-links.js';
import { parseDuration } from '../units.js';

/** Options of `granary grants add`. */
export interface AddGrantOptions {
  readonly expires: string;
  readonly reads: string;
  readonly base?: string;
  readonly output?: string;
}

/** `granary grants add` */
export async function addGrant(
  context: Context,
  remote: string,
  options: AddGrantOptions,
): Promise<void> {
  const { output, signal } = context;
  const slash = remote.indexOf('/');
  const bucket = slash < 0 ? remote : remote.slice(0, slash);
  const prefix = slash < 0 ? '' : remote.slice(slash + 1);
  const page = pageOf(context, options.base, 'app.html');
  const reads = Number(options.reads);
  if (!Number.isSafeInteger(reads) || reads < 1) {
    throw new CliError('CLI_USAGE', `--reads ${options.reads}: write a whole number from 1 on`);
  }
  const lifetime = options.expires === 'never' ? null : parseDuration(options.expires);
  await withRenter(context, async (renter) => {
    // From when it is made: until the network is there may take a while.
    const expires = lifetime === null ? null : Date.now() + lifetime;
    const file = options.output === undefined ? undefined : await openNew(options.output);
    try {
      const made = await renter.grant({ bucket, prefix }, { expires, reads, signal });
      const grant = await textOf(renter, made, page);
      await file?.writeFile(`${grant}\n`);
      await file?.sync();
      output.result({ ...shown(made), grant });
      output.line(options.output === undefined ? grant : `Written to ${options.output}.`);
      output.note(
        `Whoever has it can list and read ${printable(`${bucket}/${prefix}`)}` +
          `${prefix === '' ? '' : '…'}, ${made.objects} objects now, and what is added` +
          (expires === null ? '' : `, until ${minuteOf(expires)}`) +
          `. "granary grants remove ${made.id.slice(0, 8)}" takes it back.`,
      );
    } finally {
      await file?.close();
    }
  });
}

/** A new file for a secret. @throws CliError CLI_EXISTS, CLI_DESTINATION. */
async function openNew(path: string) {
  try {
    return await open(path, 'wx', 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw new CliError('CLI_EXISTS', `${path} is there already`);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new CliError('CLI_DESTINATION', `${path} can't be written: there is no such folder`);
    }
    throw error;
  }
}

/** `granary grants list` */
export async function listGrants(
  context: Context,
  options: { links?: boolean; base?: string },
): Promise<void> {
  const { output } = context;
  const page = pageOf(context, options.base, 'app.html');
  await withRenter(context, async (renter) => {
    const found = await renter.grants();
    const texts = new Map<string, string>();
    if (options.links === true) {
      for (const one of found) texts.set(one.id, await textOf(renter, one, page));
    }
    for (const one of found) {
      const grant = texts.get(one.id);
      output.result({ ...shown(one), ...(grant !== undefined && { grant }) });
    }
    if (found.length === 0) return output.line('No access is granted.');
    output.line(
      table([
        ['grant', 'state', 'until', 'objects', 'of'],
        ...found.map((one) => [
          one.id.slice(0, 8),
          one.state,
          one.expires === null ? '-' : minuteOf(one.expires),
          String(one.objects),
          printable(`${one.bucket}/${one.prefix}`),
        ]),
      ]),
    );
    for (const one of found) {
      if (one.untold > 0) {
        output.note(`  ${one.id.slice(0, 8)}: ${one.untold} farmers have still to be told`);
      } else if (one.placed === 0) {
        output.note(`  ${one.id.slice(0, 8)}: the network has still to be told`);
      }
      const grant = texts.get(one.id);
      if (grant !== undefined && one.state === 'open') output.line(grant);
    }
  });
}

/** `granary grants remove` */
export async function removeGrants(context: Context, ids: readonly string[]): Promise<void> {
  const { output, signal } = context;
  await withRenter(context, async (renter) => {
    let left = 0;
    for (const id of ids) {
      const ended = await renter.revokeGrant(id, { signal });
      if (ended.untold > 0 || ended.placed === 0) left += 1;
      output.result(shown(ended));
      output.line(
        `Taken back: ${printable(`${ended.bucket}/${ended.prefix}`)} (${ended.id.slice(0, 8)})` +
          (ended.untold > 0 ? `; ${ended.untold} farmers have still to be told` : ''),
      );
    }
    if (left > 0) {
      throw new CliError(
        'CLI_PENDING',
        'taken back here, but not all nodes could be reached: "granary repair" tells them again',
      );
    }
  });
}

/** What is told to scripts: not the secret, which is in the grant itself. */
function shown({ link: _secret, ...rest }: AccessGrantInfo): Omit<AccessGrantInfo, 'link'> {
  return rest;
}

async function textOf(renter: Renter, { link }: AccessGrantInfo, page: string | null) {
  return formatAccessGrant({ ...link, page, addresses: await renter.linkAddresses() });
}
