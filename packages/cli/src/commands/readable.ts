import type { GetOptions } from '@granary/renter';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import { printable } from '../output.js';
import { startProgress } from '../progress.js';
import { formatDuration, formatRate, formatSize } from '../units.js';
import { writeOut } from '../write-out.js';
import { checkFree, parseRange, writeWhole } from './objects.js';

/** Bytes of a file's name; what a file is called while it is not whole is a little longer. */
const MAX_FILE_NAME = 200;

/** Options of `granary get`. */
export interface GetCommandOptions {
  readonly range?: string;
  readonly force?: boolean;
  readonly output?: string;
  readonly grant?: string;
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
