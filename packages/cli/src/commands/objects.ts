import { access, open, rename, unlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { addAbortSignal } from 'node:stream';
import type { ObjectSummary } from '@granary/renter';
import { CliError } from '../cli-error.js';
import { type Context, withRenter } from '../context.js';
import { type Output, printable, table } from '../output.js';
import { startProgress } from '../progress.js';
import { DEFAULT_BUCKET, parseRemotePath } from '../remote-path.js';
import { formatDuration, formatRate, formatSize, parseDuration } from '../units.js';
import { writeOut } from '../write-out.js';

const dateOf = (ms: number) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');

const shown = (path: { bucket: string; name: string }) => printable(`${path.bucket}/${path.name}`);

/** Say which deletions have still to be done. */
function notePending(
  context: Context,
  pending: readonly { farmer: string; shards: number; reason: string }[],
): void {
  for (const { farmer, shards, reason } of pending) {
    context.output.note(
      `  farmer ${farmer} has still to delete ${shards} ${shards === 1 ? 'shard' : 'shards'}: ${reason}`,
    );
  }
}

/** Say that a recovery from the words would not find the latest change yet. */
function noteIndex(context: Context, indexFailure: string | null): void {
  if (indexFailure === null) return;
  context.output.note(
    `  the index in the network is not up to date, so that "granary recover" would not find this yet: ${indexFailure}`,
  );
}

/** `granary put` */
export async function put(
  context: Context,
  file: string,
  remote: string | undefined,
  options: { scheme?: string; duration?: string },
): Promise<void> {
  const { parseScheme } = await import('@granary/protocol');
  const { output, signal } = context;
  if (file === '-' && remote === undefined) {
    throw new CliError(
      'CLI_USAGE',
      'what is put from a pipe needs a name: granary put - BUCKET/NAME',
    );
  }
  const path =
    remote === undefined
      ? { bucket: DEFAULT_BUCKET, name: basename(file) }
      : parseRemotePath(remote.endsWith('/') ? `${remote}${basename(file)}` : remote);
  const scheme = options.scheme === undefined ? undefined : parseScheme(options.scheme);
  const durationMs = options.duration === undefined ? undefined : parseDuration(options.duration);
  await withRenter(context, async (renter) => {
    const begun = Date.now();
    const bar = startProgress('put', !output.json);
    try {
      const result = await renter.put(
        path,
        file === '-'
          ? { kind: 'stream', stream: addAbortSignal(signal, process.stdin) }
          : { kind: 'file', path: file },
        {
          ...(scheme !== undefined && { scheme }),
          ...(durationMs !== undefined && { durationMs }),
          signal,
          onProgress: ({ bytes, total, shards }) => bar.update(bytes, total, `${shards} shards`),
        },
      );
      bar.stop();
      const { manifest, shards, resumedSegments, garbage, indexFailure } = result;
      const elapsed = Date.now() - begun;
      const { size, sha256, segments } = manifest;
      output.result({
        ...path,
        size,
        sha256,
        segments,
        shards,
        resumedSegments,
        elapsedMs: elapsed,
        pendingDeletes: garbage.pending,
        indexFailure,
      });
      output.line(
        `Stored ${shown(path)}: ${formatSize(size)} in ${segments} ` +
          `${segments === 1 ? 'segment' : 'segments'}, ${shards} shards, ${formatDuration(elapsed)} (${formatRate(size, elapsed)})` +
          (resumedSegments > 0 ? `; ${resumedSegments} segments were there from before` : ''),
      );
      notePending(context, garbage.pending);
      noteIndex(context, indexFailure);
    } catch (error) {
      bar.stop();
      if (signal.aborted && file !== '-') {
        throw new CliError(
          'CLI_INTERRUPTED',
          'stopped: run the same put again and it goes on from here',
        );
      }
      throw error;
    }
  });
}

/** A range as users write it. @throws CliError CLI_USAGE. */
export function parseRange(text: string, size: number): { offset: number; length: number } {
  const match = /^(\d*)-(\d*)$/.exec(text);
  if (match === null || (match[1] === '' && match[2] === '')) {
    throw new CliError(
      'CLI_USAGE',
      `--range ${text}: write FIRST-LAST, FIRST- or -COUNT, in bytes`,
    );
  }
  const first = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const last = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (first >= size || last < first) {
    throw new CliError('CLI_USAGE', `--range ${text}: the object has ${size} bytes`);
  }
  return { offset: first, length: last - first + 1 };
}

/** @throws CliError CLI_EXISTS when the file is there and is not to be replaced. */
export async function checkFree(target: string, force: boolean | undefined): Promise<void> {
  if (target === '-' || force === true) return;
  const taken = await access(target).then(
    () => true,
    () => false,
  );
  if (taken)
    throw new CliError('CLI_EXISTS', `${target} is there already: use --force to replace it`);
}

/** `granary get` and `granary cat` */
export async function get(
  context: Context,
  remote: string,
  file: string | undefined,
  options: { range?: string; force?: boolean },
): Promise<void> {
  const { output, signal } = context;
  const path = parseRemotePath(remote);
  const target = file ?? basename(path.name);
  await checkFree(target, options.force);
  await withRenter(context, async (renter) => {
    const begun = Date.now();
    const { size, sha256 } = await renter.head(path);
    const range = options.range === undefined ? undefined : parseRange(options.range, size);
    const bar = startProgress('get', !output.json && target !== '-');
    const onProgress = ({ bytes, total }: { bytes: number; total?: number }) =>
      bar.update(bytes, total, '');
    try {
      if (target === '-') {
        for await (const bytes of renter.get(path, { ...range, signal, onProgress })) {
          if (!(await writeOut(bytes))) break;
        }
      } else if (range !== undefined) {
        await writeWhole(target, renter.get(path, { ...range, signal, onProgress }));
      } else {
        const { resumedBytes } = await renter.getToFile(path, target, { signal, onProgress });
        if (resumedBytes > 0) output.note(`${formatSize(resumedBytes)} were there from before`);
      }
      bar.stop();
      if (target === '-') return;
      const elapsed = Date.now() - begun;
      const length = range?.length ?? size;
      output.result({ ...path, file: target, size: length, sha256, elapsedMs: elapsed });
      output.line(
        `Got ${shown(path)} into ${target}: ${formatSize(length)}, ` +
          `${formatDuration(elapsed)} (${formatRate(length, elapsed)})`,
      );
    } catch (error) {
      bar.stop();
      if (signal.aborted && target !== '-' && range === undefined) {
        throw new CliError(
          'CLI_INTERRUPTED',
          'stopped: run the same get again and it goes on from here',
        );
      }
      throw error;
    }
  });
}

/** Write a file that takes its name only when it is whole: what had the name stays till then. */
export async function writeWhole(target: string, source: AsyncIterable<Uint8Array>): Promise<void> {
  const part = `${target}.${process.pid}.granary-part`;
  const file = await open(part, 'wx').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
    throw new CliError('CLI_DESTINATION', `${target} can't be written: there is no such folder`);
  });
  try {
    for await (const bytes of source) await file.writeFile(bytes);
    await file.sync();
    await file.close();
    await rename(part, target);
  } catch (error) {
    await file.close().catch(() => undefined);
    await unlink(part).catch(() => undefined);
    throw error;
  }
}

/** Write a listing. */
export async function listObjects(
  output: Output,
  bucket: string,
  objects: AsyncIterable<ObjectSummary> | Iterable<ObjectSummary>,
): Promise<void> {
  for await (const object of objects) {
    output.result({ bucket, ...object });
    output.line(
      `${dateOf(object.created)}  ${formatSize(object.size).padStart(9)}  ${printable(object.name)}`,
    );
  }
}

/** `granary ls` */
export async function ls(context: Context, remote: string | undefined): Promise<void> {
  const { output } = context;
  await withRenter(context, async (renter) => {
    if (remote === undefined) {
      for await (const bucket of renter.buckets()) {
        output.result({ bucket });
        output.line(`${bucket}/`);
      }
      return;
    }
    const slash = remote.indexOf('/');
    const bucket = slash < 0 ? remote : remote.slice(0, slash);
    const prefix = slash < 0 ? '' : remote.slice(slash + 1);
    await listObjects(output, bucket, renter.list(bucket, { prefix }));
  });
}

/** `granary stat` */
export async function stat(context: Context, remote: string): Promise<void> {
  const { formatScheme } = await import('@granary/protocol');
  const { output } = context;
  await withRenter(context, async (renter) => {
    const found = await renter.stat(parseRemotePath(remote));
    output.result(found);
    const { scheme } = found;
    const spare = found.fewestShards - scheme.k;
    output.line(
      table([
        [shown(found), ''],
        ['  size', `${formatSize(found.size)} (${found.size} bytes)`],
        ['  SHA-256', found.sha256],
        ['  stored', dateOf(found.created)],
        ['  paid until', found.expires === null ? 'nothing to pay' : dateOf(found.expires)],
        [
          '  scheme',
          `${formatScheme(scheme)} (k/repair/success/n): any ${scheme.k} shards of a segment restore it`,
        ],
        [
          '  shards',
          `${found.shards} in ${found.segments} segments, ${formatSize(found.storedBytes)} at farmers`,
        ],
        [
          '  can lose',
          found.segments === 0
            ? 'nothing is stored at farmers'
            : `${spare} farmers, whichever they are`,
        ],
      ]),
    );
    if (found.farmers.length > 0) {
      output.line('');
      output.line(
        table([
          ['  farmer', 'address', 'shards'],
          ...found.farmers.map((f) => [`  ${f.nodeId}`, f.address, String(f.shards)]),
        ]),
      );
    }
    return Promise.resolve();
  });
}

/** `granary rm` */
export async function rm(context: Context, remotes: readonly string[]): Promise<void> {
  const { output, signal } = context;
  await withRenter(context, async (renter) => {
    let left = 0;
    for (const remote of remotes) {
      const path = parseRemotePath(remote);
      const { confirmed, pending, beingRead, indexFailure } = await renter.delete(path, { signal });
      left += pending.length;
      output.result({ ...path, confirmed, pending, beingRead, indexFailure });
      output.line(`Deleted ${shown(path)}: ${confirmed} shards confirmed gone by their farmers`);
      if (beingRead > 0) output.note('  it is being read: its shards go when that is over');
      notePending(context, pending);
      noteIndex(context, indexFailure);
    }
    if (left > 0) {
      throw new CliError(
        'CLI_PENDING',
        `deleted here, but not all farmers could be reached: "granary gc" asks them again`,
      );
    }
  });
}

/** `granary gc` */
export async function gc(context: Context, options: { unfinished?: boolean }): Promise<void> {
  const { output, signal } = context;
  await withRenter(context, async (renter) => {
    const { confirmed, pending, beingRead, review } = await renter.collectGarbage({
      signal,
      ...(options.unfinished === true && { unfinished: true }),
    });
    output.result({ confirmed, pending, beingRead, review });
    const accounted = review.listed - review.orphans;
    output.line(
      `${review.farmers} farmers listed ${review.listed} contracts: ${accounted} are accounted for, ` +
        `${review.orphans} were orphans and are deleted, ${review.missing} shards are missing`,
    );
    if (review.missing > 0) {
      output.note('  missing shards count as lost: "granary repair" makes them anew');
    }
    for (const { farmer, reason } of review.unreachable) {
      output.note(
        `  farmer ${farmer} could not be asked: ${reason.replace(`farmer ${farmer} `, 'it ')}`,
      );
    }
    output.line(
      `${confirmed} shards confirmed gone; ${pending.length === 0 ? 'nothing is left to delete' : 'left to delete:'}`,
    );
    if (beingRead > 0)
      output.note(`  ${beingRead} deleted objects are being read and go after that`);
    notePending(context, pending);
    if (pending.length > 0 || review.unreachable.length > 0) {
      throw new CliError('CLI_PENDING', 'not all farmers could be reached');
    }
  });
}
