import { z } from 'zod';
import type { User } from '../metadata/records.js';

const rate = (fewest: number) =>
  z.strictObject({
    /** On average. */
    perSecond: z.number().min(fewest).max(1e12),
    /** As many may come at once after a pause. */
    burst: z.number().int().min(1).max(1e15),
  });

/** The form in which a user's rate limits are kept. Null: no limit. */
export const rateLimitsSchema = z.strictObject({
  /** Requests, S3's and REST's together. */
  requests: rate(0.001).nullable(),
  /** Bytes of bodies, sent and received together. */
  bytes: rate(1024).nullable(),
});

/** How fast a user may go. */
export type RateLimits = z.infer<typeof rateLimitsSchema>;

/** Those of a user for whom none were set. */
export const NO_RATE_LIMITS: RateLimits = { requests: null, bytes: null };

/** The rate limits of a user, as they were kept among its attributes. */
export function rateLimitsOf({ attributes }: Pick<User, 'attributes'>): RateLimits {
  const result = rateLimitsSchema.safeParse(attributes['rateLimits'] ?? NO_RATE_LIMITS);
  // What can't be read was not kept by a bridge that knows less than this one.
  return result.success ? result.data : NO_RATE_LIMITS;
}

/** A user's attributes with other rate limits. */
export function withRateLimits(
  attributes: User['attributes'],
  rateLimits: RateLimits,
): User['attributes'] {
  return { ...attributes, rateLimits };
}
