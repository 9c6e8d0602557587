import type { Clock, Logger, Random } from '@granary/kad';
import { errorText } from '../error-text.js';
import type { ContentStore } from '../metadata/metadata-store.js';
import type { NewBody } from '../metadata/records.js';
import type { ObjectBackend } from './object-backend.js';

/** A body that has been stored and is claimed: something must refer to it soon, or it goes. */
export interface StoredBody {
  readonly body: Extract<NewBody, { kind: 'inline' | 'extents' }>;
  /** Nothing came of it: let it go now. */
  abandon(): Promise<void>;
}

/** What a {@link ContentWriter} is made of. */
export interface ContentWriterParts {
  readonly metadata: ContentStore;
  readonly backend: ObjectBackend;
  /** The most bytes that are kept in the database and not in the network. */
  readonly inlineBytes: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** How long a claim holds; it is renewed three times in that time. */
const CLAIM_MS = 5 * 60 * 1000;

/** Stores the bytes of bodies: small ones in the database, others in the network. */
export class ContentWriter {
  constructor(private readonly parts: ContentWriterParts) {}

  /**
   * Store a body. Its stream is read to its end before anything is reported stored, so that whatever
   * is verified at its end has been.
   *
   * @throws whatever the stream throws; MetadataError; what the backend throws.
   */
  async store(stream: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<StoredBody> {
    const iterator = stream[Symbol.asyncIterator]();
    const head: Uint8Array[] = [];
    let size = 0;
    while (size <= this.parts.inlineBytes) {
      const next = await iterator.next();
      if (next.done === true) {
        return {
          body: { kind: 'inline', bytes: Buffer.concat(head) },
          abandon: () => Promise.resolve(),
        };
      }
      // The source may use its buffer again.
      head.push(Uint8Array.from(next.value));
      size += next.value.length;
    }
    return this.intoNetwork(head, iterator, signal);
  }

  private async intoNetwork(
    head: Uint8Array[],
    iterator: AsyncIterator<Uint8Array>,
    outer: AbortSignal,
  ): Promise<StoredBody> {
    const { metadata, backend, random, clock } = this.parts;
    const contentId = Buffer.from(random(16)).toString('hex');
    const lost = new AbortController();
    const signal = AbortSignal.any([outer, lost.signal]);
    let timer: unknown;
    const renewLater = () => {
      timer = clock.setTimeout(() => {
        metadata.renewContents([contentId], CLAIM_MS).then(renewLater, (error: unknown) => {
          lost.abort(error);
        });
      }, CLAIM_MS / 3);
    };
    await metadata.beginContents([contentId], CLAIM_MS);
    renewLater();
    try {
      const { size } = await backend.put(contentId, joined(head, iterator), signal);
      await metadata.renewContents([contentId], CLAIM_MS);
      return {
        body: { kind: 'extents', extents: [{ contentId, offset: 0, length: size }] },
        abandon: () => this.abandon(contentId),
      };
    } catch (error) {
      await this.abandon(contentId);
      throw error;
    } finally {
      clock.clearTimeout(timer);
    }
  }

  private async abandon(contentId: string): Promise<void> {
    try {
      await this.parts.metadata.abandonContents([contentId]);
    } catch (error) {
      // Its claim runs out by itself.
      this.parts.logger.warn({ contentId, error: errorText(error) }, 'a content was not abandoned');
    }
  }
}

async function* joined(
  head: Uint8Array[],
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let ended = false;
  try {
    // Each is let go as soon as it is handed on.
    for (let part = head.shift(); part !== undefined; part = head.shift()) yield part;
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    if (!ended) await iterator.return?.();
  }
}
