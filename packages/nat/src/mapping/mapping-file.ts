import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { messageOf } from '@granary/kad';
import { NatError } from '../errors.js';

const port = z.number().int().min(1).max(65_535);
const entrySchema = z.strictObject({
  protocol: z.enum(['pcp', 'nat-pmp', 'upnp']),
  gateway: z.ipv4(),
  internalAddress: z.ipv4(),
  internalPort: port,
  externalPort: port,
  /** PCP: what proves that the mapping is ours. */
  nonce: z.string().regex(/^[0-9a-f]{24}$/),
  /** UPnP: the description by which the mapping is known. */
  tag: z.string().min(1).max(64),
});

/** A mapping that a router has, or may have. */
export type MappingEntry = z.infer<typeof entrySchema>;

/** The most entries that are kept: the oldest are given up. */
const MAX_ENTRIES = 16;
const fileSchema = z.strictObject({
  version: z.literal(1),
  mappings: z.array(entrySchema).max(MAX_ENTRIES),
});

/**
 * The mappings that routers may have of us, in a file of mode 0600. An entry is on the disk before
 * the router is asked, so that no crash can leave a mapping that nobody knows of.
 */
export class MappingFile {
  private constructor(
    private readonly path: string,
    private all: readonly MappingEntry[],
  ) {}

  /** @throws NatError NAT_BAD_FILE when it is not such a file, or can't be read. */
  static async open(path: string): Promise<MappingFile> {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new MappingFile(path, []);
      throw new NatError('NAT_BAD_FILE', `${path} can't be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      value = undefined;
    }
    const parsed = fileSchema.safeParse(value);
    if (!parsed.success) {
      throw new NatError(
        'NAT_BAD_FILE',
        `${path} is not a list of port mappings: remove it (a mapping that it named ends by itself)`,
      );
    }
    return new MappingFile(path, parsed.data.mappings);
  }

  /** All entries, the oldest first. */
  get entries(): readonly MappingEntry[] {
    return this.all;
  }

  /** Add an entry, or write it anew; on the disk when the promise is fulfilled. */
  put(entry: MappingEntry): Promise<void> {
    return this.write([...this.without(entry), entry].slice(-MAX_ENTRIES));
  }

  /** Take an entry out. */
  async remove(entry: MappingEntry): Promise<void> {
    const left = this.without(entry);
    if (left.length < this.all.length) await this.write(left);
  }

  private without(entry: MappingEntry): MappingEntry[] {
    return this.all.filter((other) => !isSame(other, entry));
  }

  private async write(mappings: readonly MappingEntry[]): Promise<void> {
    const temporary = `${this.path}.${randomBytes(6).toString('hex')}.new`;
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    try {
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(`${JSON.stringify({ version: 1, mappings })}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    const directory = await open(dirname(this.path), 'r');
    await directory.sync().finally(() => directory.close());
    this.all = mappings;
  }
}

/** Whether two entries are about one mapping: the same nonce stands for the same wish. */
export function isSame(a: MappingEntry, b: MappingEntry): boolean {
  return a.protocol === b.protocol && a.nonce === b.nonce;
}
