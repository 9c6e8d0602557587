/** A run of bytes of a content. */
export interface ContentRange {
  /** First byte. */
  readonly offset: number;
  /** Bytes, at least 1. */
  readonly length: number;
}

/** Where the bytes of objects are: the network, by way of a renter. */
export interface ObjectBackend {
  /**
   * Store a content. When the promise resolves, it survives the loss of everything that its redundancy
   * allows for. Nothing is stored when the stream ends with an error.
   *
   * @param contentId - 32 hex digits that nothing else has
   * @returns bytes stored
   */
  put(
    contentId: string,
    stream: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ readonly size: number }>;
  /**
   * Read a run of a content. Every byte was verified before it is handed out.
   *
   * @throws ContentGoneError when there is no such content
   */
  get(contentId: string, range: ContentRange, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Delete a content. That it is not there is no error. */
  delete(contentId: string, signal: AbortSignal): Promise<void>;
  /** Resolves when contents can be read and stored now. @throws when not, and why. */
  ready(signal: AbortSignal): Promise<void>;
}

/** A content that is not there, or not any more. */
export class ContentGoneError extends Error {
  override readonly name = 'ContentGoneError';
  readonly code = 'BRIDGE_CONTENT_GONE';

  constructor(readonly contentId: string) {
    super(`there is no content ${contentId}`);
  }
}
