import type { Clock, Logger, Random } from '@granary/kad';
import type { ContentWriter } from '../contents/content-writer.js';
import type { ObjectBackend } from '../contents/object-backend.js';
import type { Slots } from '../contents/slots.js';
import type { MetadataStore } from '../metadata/metadata-store.js';
import type { RateLimiter } from '../users/rate-limiter.js';

/** Bounds on what requests may cost. */
export interface S3Limits {
  /** The most bytes of an XML or JSON document. */
  readonly documentBytes: number;
  /** The most bytes that the fields of a POST form may have together, the file not counted. */
  readonly formBytes: number;
  /** The fewest bytes of a part that is not the last. */
  readonly minPartBytes: number;
}

/** The bounds that S3 has. */
export const DEFAULT_LIMITS: S3Limits = {
  documentBytes: 2 * 1024 * 1024,
  formBytes: 64 * 1024,
  minPartBytes: 5 * 1024 * 1024,
};

/** What the operations of S3 work with. */
export interface S3Deps {
  readonly metadata: MetadataStore;
  readonly backend: ObjectBackend;
  readonly writer: ContentWriter;
  /**
   * Of copies that read from the network and store into it one goes on at a time: several could wait
   * for each other's transfers for ever.
   */
  readonly copies: Slots;
  /** Keeps users to their rate limits. */
  readonly limiter: RateLimiter;
  /** The region that clients must sign for. */
  readonly region: string;
  readonly limits: S3Limits;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}
