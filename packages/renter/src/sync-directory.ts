import { open } from 'node:fs/promises';

/** Make the names in a directory durable, as fsync of a file does not. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  await directory.sync().finally(() => directory.close());
}
