import { toHex, utf8 } from '../bytes.js';
import { KadError } from '../errors.js';
import { sha256 } from '../sha256.js';

/** SHA-256 of a topic's UTF-8, 64 lower-case hex digits: what travels instead of the topic. */
export type TopicHash = string;

/** The most bytes of UTF-8 in a topic. */
export const MAX_TOPIC_BYTES = 256;

/** @throws KadError KAD_BAD_PARAMETERS when the topic is empty, too long, or not well-formed text. */
export function hashTopic(topic: string): TopicHash {
  const bytes = utf8(topic);
  // A lone surrogate would become U+FFFD, and two topics one.
  if (/[\ud800-\udfff]/u.test(topic)) {
    throw new KadError('KAD_BAD_PARAMETERS', 'the topic has half of a surrogate pair in it');
  }
  if (bytes.length === 0 || bytes.length > MAX_TOPIC_BYTES) {
    throw new KadError('KAD_BAD_PARAMETERS', `a topic has 1 to ${MAX_TOPIC_BYTES} bytes of UTF-8`);
  }
  return toHex(sha256(bytes));
}
