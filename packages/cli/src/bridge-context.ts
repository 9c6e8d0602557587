import { hkdfSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MetadataStore } from '@granary/bridge';
import { makeDirectory, systemClock, systemRandom } from '@granary/kad';
import { CliError } from './cli-error.js';
import { type Context, loadKeys } from './context.js';

/** Options of commands that open a bridge's metadata. */
export interface BridgeDatabaseOptions {
  readonly database?: string;
  readonly masterKeyFile?: string;
}

/** Open the metadata of the bridge of the home directory, do something with it, and close it. */
export async function withMetadata<T>(
  context: Context,
  options: BridgeDatabaseOptions,
  work: (metadata: MetadataStore) => Promise<T>,
): Promise<T> {
  const { openMetadataStore } = await import('@granary/bridge');
  const { home, logger } = context;
  const database = options.database ?? process.env['GRANARY_BRIDGE_DATABASE'];
  const masterKey = await masterKeyOf(context, options.masterKeyFile);
  if (database === undefined) await makeDirectory(join(home, 'bridge'));
  const metadata = await openMetadataStore({
    database: database ?? join(home, 'bridge', 'bridge.db'),
    masterKey,
    clock: systemClock,
    random: systemRandom,
    logger,
  });
  try {
    return await work(metadata);
  } finally {
    await metadata.close();
  }
}

/** The secret that metadata is sealed under: from a file, the environment, or made from the renter's keys. */
async function masterKeyOf(context: Context, file: string | undefined): Promise<Uint8Array> {
  const text =
    file === undefined
      ? process.env['GRANARY_BRIDGE_MASTER_KEY']
      : await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
          if (error.code === 'EACCES') throw error;
          throw new CliError(
            'CLI_USAGE',
            `--master-key-file ${file}: it can't be read: ${error.code}`,
          );
        });
  if (text !== undefined) {
    const key = text.trim();
    if (!/^(?:[0-9a-f]{2}){32,}$/i.test(key)) {
      throw new CliError(
        'CLI_USAGE',
        'a master key is 64 hex digits or more: openssl rand -hex 32',
      );
    }
    return Buffer.from(key, 'hex');
  }
  const { storeKey } = await loadKeys(context);
  return new Uint8Array(hkdfSync('sha256', storeKey, new Uint8Array(), 'granary/1 bridge', 32));
}
