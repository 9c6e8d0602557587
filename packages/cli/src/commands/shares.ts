import { formatShareLink } from '@granary/protocol';
import type { Renter, ShareInfo } from '@granary/renter';
import { CliError } from '../cli-error.js';
import { type Context, withRenter } from '../context.js';
import { printable, table } from '../output.js';
import { minuteOf, pageOf } from '../page-of-links.js';
import { parseRemotePath } from '../remote-path.js';
import { parseDuration } from '../units.js';

/** Options of `granary share`. */
export interface ShareCommandOptions {
  readonly expires: string;
  readonly reads: string;
  readonly base?: string;
}

/** `granary share` */
export async function share(
  context: Context,
  remote: string,
  options: ShareCommandOptions,
): Promise<void> {
  const { output, signal } = context;
  const path = parseRemotePath(remote);
  const page = pageOf(context, options.base, 'share.html');
  const reads = Number(options.reads);
  if (!Number.isSafeInteger(reads) || reads < 1) {
    throw new CliError('CLI_USAGE', `--reads ${options.reads}: write a whole number from 1 on`);
  }
  const lifetime = options.expires === 'never' ? null : parseDuration(options.expires);
  await withRenter(context, async (renter) => {
    // From when it is made: until the network is there may take a while.
    const expires = lifetime === null ? null : Date.now() + lifetime;
    const made = await renter.share(path, { expires, reads, signal });
    const link = await linkOf(renter, made, page);
    output.result({ ...shown(made), link });
    output.line(link);
    output.note(
      `Whoever has this link can read ${printable(`${path.bucket}/${path.name}`)}` +
        (expires === null ? '' : `, until ${minuteOf(expires)}`) +
        `. "granary unshare ${made.id.slice(0, 8)}" takes it back.`,
    );
  });
}

/** `granary shares` */
export async function shares(
  context: Context,
  options: { links?: boolean; base?: string },
): Promise<void> {
  const { output } = context;
  const page = pageOf(context, options.base, 'share.html');
  await withRenter(context, async (renter) => {
    const found = await renter.shares();
    const links = new Map<string, string>();
    if (options.links === true) {
      for (const one of found) links.set(one.id, await linkOf(renter, one, page));
    }
    for (const one of found) {
      const link = links.get(one.id);
      output.result({ ...shown(one), ...(link !== undefined && { link }) });
    }
    if (found.length === 0) return output.line('Nothing is shared.');
    output.line(
      table([
        ['share', 'state', 'until', 'object'],
        ...found.map((one) => [
          one.id.slice(0, 8),
          one.state,
          one.expires === null ? '-' : minuteOf(one.expires),
          printable(`${one.bucket}/${one.name}`),
        ]),
      ]),
    );
    for (const one of found) {
      if (one.untold > 0) {
        output.note(`  ${one.id.slice(0, 8)}: ${one.untold} farmers have still to be told`);
      } else if (one.placed === 0) {
        output.note(`  ${one.id.slice(0, 8)}: the network has still to be told`);
      }
      const link = links.get(one.id);
      if (link !== undefined && one.state === 'open') output.line(link);
    }
  });
}

/** `granary unshare` */
export async function unshare(context: Context, ids: readonly string[]): Promise<void> {
  const { output, signal } = context;
  await withRenter(context, async (renter) => {
    let left = 0;
    for (const id of ids) {
      const ended = await renter.unshare(id, { signal });
      const open = ended.untold > 0 || ended.placed === 0;
      if (open) left += 1;
      output.result(shown(ended));
      output.line(
        `Taken back: ${printable(`${ended.bucket}/${ended.name}`)} (${ended.id.slice(0, 8)})` +
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

/** What of a share is told to scripts: not its secret, which is in its link. */
function shown({ link: _secret, ...rest }: ShareInfo): Omit<ShareInfo, 'link'> {
  return rest;
}

async function linkOf(renter: Renter, { link }: ShareInfo, page: string | null): Promise<string> {
  return formatShareLink({ ...link, page, addresses: await renter.linkAddresses() });
}
