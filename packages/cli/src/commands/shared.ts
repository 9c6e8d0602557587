import { isShareLink } from '@granary/protocol';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import { printable } from '../output.js';
import { startProgress } from '../progress.js';
import { formatDuration, formatRate, formatSize } from '../units.js';
import { checkFree, get, parseRange, writeOut, writeWhole } from './objects.js';

/** Bytes of a file's name; what a file is called while it is not whole is a little longer. */
const MAX_FILE_NAME = 200;

/** Options of `granary get`. */
export interface GetCommandOptions {
  readonly range?: string;
  readonly force?: boolean;
  readonly output?: string;
}

/** `granary get` and `granary cat`: an object of one's own, or what a share link leads to. */
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
  if (isShareLink(what)) await getShared(context, what, target, options);
  else await get(context, what, target, options);
}

/** Read what a share link leads to. Needs no keys, and leaves none. */
async function getShared(
  { config, dialer, logger, output, signal }: Context,
  link: string,
  file: string | undefined,
  options: GetCommandOptions,
): Promise<void> {
  const { openShare } = await import('@granary/renter');
  if (file !== undefined) await checkFree(file, options.force);
  const begun = Date.now();
  const shared = await openShare(link, {
    bootstrap: config.bootstrap ?? [],
    logger,
    difficulty: config.difficulty ?? 0,
    ...(dialer !== undefined && { dialer }),
    signal,
  });
  const bar = startProgress('get', !output.json && file !== '-');
  try {
    const { name, size, sha256, expires } = shared.info;
    const target = file ?? fileNameOf(name);
    if (file === undefined) await checkFree(target, options.force);
    const range = options.range === undefined ? undefined : parseRange(options.range, size);
    const bytes = shared.read({
      ...range,
      signal,
      onProgress: ({ bytes: done, total }) => bar.update(done, total, ''),
    });
    if (target === '-') {
      for await (const part of bytes) if (!(await writeOut(part))) break;
      return;
    }
    await writeWhole(target, bytes);
    bar.stop();
    const elapsed = Date.now() - begun;
    const length = range?.length ?? size;
    output.result({ name, file: target, size: length, sha256, expires, elapsedMs: elapsed });
    output.line(
      `Got ${printable(name)} into ${printable(target)}: ${formatSize(length)}, ` +
        `${formatDuration(elapsed)} (${formatRate(length, elapsed)})`,
    );
  } finally {
    bar.stop();
    await shared.close();
  }
}

/** A name that somebody else has given, as the name of a file here: in this folder, and not a hidden one. */
export function fileNameOf(name: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? '';
  const safe = last.replace(/\p{Cc}|\p{Cf}/gu, '').replace(/^[.\s]+/, '');
  let short = '';
  for (const character of safe) {
    if (Buffer.byteLength(short + character) > MAX_FILE_NAME) break;
    short += character;
  }
  return short === '' ? 'shared' : short;
}
