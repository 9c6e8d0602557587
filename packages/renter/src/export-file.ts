import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { toBase64 } from '@granary/kad';
import { RenterError } from './errors.js';
import type { RenterCore } from './renter-core.js';
import { seal, unseal } from './sealed-box.js';
import { syncDirectory } from './sync-directory.js';

const BATCH = 256;
type Row = readonly [string, unknown];

/**
 * Write everything the store knows into a new file, sealed: manifests, contracts, farmers, uploads
 * under way. The file has its name only when it is whole.
 *
 * @returns rows written
 * @throws RenterError RENTER_DESTINATION when the file is there or can't be written.
 */
export async function exportStore(core: RenterCore, path: string): Promise<number> {
  const { keys, store } = core;
  const part = `${path}.${process.pid}.granary-part`;
  const file = await openNew(part);
  let [rows, batches] = [0, 0];
  let batch: Row[] = [];
  const flush = async () => {
    await file.writeFile(`${toBase64(seal(keys.exportKey, `rows ${batches}`, batch))}\n`);
    batches += 1;
    batch = [];
  };
  try {
    const head = { format: 'granary-export', version: 1, renter: keys.identity.nodeId };
    await file.writeFile(`${JSON.stringify(head)}\n`);
    for await (const row of store.dump()) {
      batch.push(row);
      rows += 1;
      if (batch.length >= BATCH) await flush();
    }
    await flush();
    // Without this last line a file that was cut short would pass for a whole one.
    const end = seal(keys.exportKey, 'end', { batches, rows });
    await file.writeFile(`end ${toBase64(end)}\n`);
    await file.sync();
    await file.close();
    await rename(part, path);
    await syncDirectory(dirname(path));
    return rows;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(part, { force: true });
    throw error;
  }
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EEXIST') throw error;
    throw new RenterError('RENTER_DESTINATION', `${path} can't be written (${code})`);
  }
}

/**
 * Read an export back into an empty store. The whole file is checked before the first row is
 * written.
 *
 * @returns rows read
 * @throws RenterError RENTER_NOT_EMPTY, RENTER_SOURCE, or RENTER_BAD_EXPORT when the file is not
 * whole, damaged, or of other keys.
 */
export async function importStore(core: RenterCore, path: string): Promise<number> {
  const { store } = core;
  if (!(await store.isEmpty())) {
    throw new RenterError(
      'RENTER_NOT_EMPTY',
      'there are objects here already: import into an empty --home',
    );
  }
  for await (const batch of readBatches(core, path)) void batch;
  let rows = 0;
  for await (const batch of readBatches(core, path)) {
    await store.load(batch);
    rows += batch.length;
  }
  return rows;
}

async function* readBatches({ keys }: RenterCore, path: string): AsyncGenerator<Row[]> {
  const bad = (why: string, cause?: unknown) =>
    new RenterError('RENTER_BAD_EXPORT', `${path}: ${why}`, { cause });
  const input = createReadStream(path);
  const failure: { error?: NodeJS.ErrnoException } = {};
  input.on('error', (error) => (failure.error = error));
  const lines = createInterface({ input, crlfDelay: Infinity });
  let [number, batches, rows] = [0, 0, 0];
  let ended = false;
  try {
    for await (const line of lines) {
      if (number++ === 0) {
        checkHead(line, keys.identity.nodeId, bad);
      } else if (line.startsWith('end ')) {
        const end = open_(line.slice(4), 'end') as { batches: number; rows: number };
        if (end.batches !== batches || end.rows !== rows) throw bad('parts of it are missing');
        ended = true;
      } else {
        const batch = open_(line, `rows ${batches}`) as Row[];
        batches += 1;
        rows += batch.length;
        yield batch;
      }
    }
  } catch (error) {
    if (failure.error === undefined) throw error;
  }
  if (failure.error !== undefined) {
    const { code = 'unknown' } = failure.error;
    throw new RenterError('RENTER_SOURCE', `${path} can't be read (${code})`);
  }
  if (!ended) throw bad('it is cut short');

  function open_(text: string, name: string): unknown {
    try {
      return unseal(keys.exportKey, name, Buffer.from(text, 'base64'));
    } catch (error) {
      throw bad('it does not open: it is damaged, or belongs to other keys', error);
    }
  }
}

function checkHead(line: string, renter: string, bad: (why: string) => RenterError): void {
  let head: { format?: unknown; version?: unknown; renter?: unknown };
  try {
    head = JSON.parse(line) as typeof head;
  } catch {
    throw bad('it is not an export of Granary');
  }
  if (head.format !== 'granary-export' || head.version !== 1) {
    throw bad('it is not an export of this version of Granary');
  }
  if (head.renter !== renter) throw bad(`it is of other keys (node ${String(head.renter)})`);
}
