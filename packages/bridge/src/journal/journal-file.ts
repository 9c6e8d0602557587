import { Readable, pipeline } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { MetadataError } from '../metadata/metadata-error.js';
import { type JournalLine, decodeLine, encodeLine } from '../metadata/journal-tables.js';

/** What the first line of a part says. */
export interface JournalHead {
  readonly version: 1;
  /** When it was written, in milliseconds since the epoch. */
  readonly written: number;
  /** Proof of the master key; see `JournalStore.checkProof`. */
  readonly proof: string;
}

const headSchema = z.strictObject({
  version: z.literal(1),
  written: z.number(),
  proof: z.string(),
});

/** A part as compressed bytes, as it is made. */
export async function* packPart(
  head: JournalHead,
  lines: Iterable<JournalLine> | AsyncIterable<JournalLine>,
): AsyncGenerator<Uint8Array> {
  const texts = async function* () {
    yield `${JSON.stringify(head)}\n`;
    for await (const line of lines) yield `${encodeLine(line)}\n`;
  };
  const gzip = createGzip();
  // An error of the lines is one of the stream that is read.
  pipeline(Readable.from(texts()), gzip, () => undefined);
  for await (const bytes of gzip) yield bytes as Buffer;
}

/** The head of a part, and then its lines. @throws MetadataError METADATA_DAMAGED. */
export async function* unpackPart(
  packed: AsyncIterable<Uint8Array>,
): AsyncGenerator<JournalHead | JournalLine> {
  const gunzip = createGunzip();
  let failure: Error | null | undefined;
  const ended = new Promise<void>((resolve) => {
    pipeline(Readable.from(packed), gunzip, (error) => {
      failure = error;
      resolve();
    });
  });
  const reader = createInterface({ input: gunzip, crlfDelay: Infinity });
  let head: JournalHead | undefined;
  for await (const text of reader) {
    if (head === undefined) {
      head = readHead(text);
      yield head;
    } else yield decodeLine(text);
  }
  await ended;
  if (failure !== null && failure !== undefined) throw failure;
}

function readHead(text: string): JournalHead {
  try {
    return headSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new MetadataError(
      'METADATA_DAMAGED',
      'a journal in the network is damaged, or was written by a newer Granary',
      { cause },
    );
  }
}
