import { type Renter, RenterError } from '@granary/renter';
import { ContentGoneError, type ContentRange, type ObjectBackend } from './object-backend.js';

/** The renter's bucket that contents of the bridge are in. */
export const CONTENT_BUCKET = 'granary-bridge';

/** Keeps contents as objects of a renter, each under its ID. */
export class RenterBackend implements ObjectBackend {
  constructor(private readonly renter: Renter) {}

  async put(
    contentId: string,
    stream: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ size: number }> {
    const source = { kind: 'stream', stream } as const;
    const { manifest } = await this.renter.put(pathOf(contentId), source, { signal });
    return { size: manifest.size };
  }

  async *get(
    contentId: string,
    { offset, length }: ContentRange,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    try {
      yield* this.renter.get(pathOf(contentId), { offset, length, signal });
    } catch (error) {
      if (isNotFound(error)) throw new ContentGoneError(contentId);
      throw error;
    }
  }

  async delete(contentId: string, signal: AbortSignal): Promise<void> {
    try {
      await this.renter.delete(pathOf(contentId), { signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.renter.join();
    signal.throwIfAborted();
  }
}

function pathOf(contentId: string): { bucket: string; name: string } {
  return { bucket: CONTENT_BUCKET, name: contentId };
}

function isNotFound(error: unknown): boolean {
  return error instanceof RenterError && error.code === 'RENTER_NOT_FOUND';
}
