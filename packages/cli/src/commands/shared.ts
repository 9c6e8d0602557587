import { isShareLink } from '@granary/protocol';
import type { GetOptions } from '@granary/renter';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import { grantOf } from '../given-grant.js';
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
  readonly grant?: string;
}

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

/** What of somebody else's can be read. */
export interface Readable {
  /** As the command names it, and as a file is called by it. */
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly expires: number | null;
  read(options: GetOptions): AsyncIterable<Uint8Array>;
  readToFile(
    file: string,
    options: Pick<GetOptions, 'signal' | 'onProgress'>,
  ): Promise<{ resumedBytes: number }>;
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

/** What a reader of what is somebody else's is made of. */
export function readerParts({ config, dialer, logger, signal }: Context) {
  return {
    bootstrap: config.bootstrap ?? [],
    logger,
    difficulty: config.difficulty ?? 0,
    ...(dialer !== undefined && { dialer }),
    signal,
  };
}

/** Write what is somebody else's into a file, or to stdout, and say so. */
export async function writeReadable(
  { output, signal }: Context,
  readable: Readable,
  file: string | undefined,
  options: GetCommandOptions,
  begun: number,
): Promise<void> {
  const { name, size, sha256, expires } = readable;
  const target = file ?? fileNameOf(name);
  if (file === undefined) await checkFree(target, options.force);
  const range = options.range === undefined ? undefined : parseRange(options.range, size);
  const bar = startProgress('get', !output.json && target !== '-');
  const onProgress = ({ bytes: done, total }: { bytes: number; total?: number }) =>
    bar.update(done, total, '');
  try {
    if (target === '-') {
      for await (const part of readable.read({ ...range, signal, onProgress })) {
        if (!(await writeOut(part))) break;
      }
      return;
    }
    if (range !== undefined) {
      await writeWhole(target, readable.read({ ...range, signal, onProgress }));
    } else {
      const { resumedBytes } = await readable.readToFile(target, { signal, onProgress });
      if (resumedBytes > 0) output.note(`${formatSize(resumedBytes)} were there from before`);
    }
    bar.stop();
    const elapsed = Date.now() - begun;
    const length = range?.length ?? size;
    output.result({ name, file: target, size: length, sha256, expires, elapsedMs: elapsed });
    output.line(
      `Got ${printable(name)} into ${printable(target)}: ${formatSize(length)}, ` +
        `${formatDuration(elapsed)} (${formatRate(length, elapsed)})`,
    );
  } catch (error) {
    if (signal.aborted && target !== '-' && range === undefined) {
      throw new CliError(
        'CLI_INTERRUPTED',
        'stopped: run the same get again and it goes on from here',
      );
    }
    throw error;
  } finally {
    bar.stop();
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
