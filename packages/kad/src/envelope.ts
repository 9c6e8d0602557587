import { concatBytes, fromHex, fromUtf8, toHex, utf8 } from './bytes.js';
import type { Clock } from './clock.js';
import { type Contact, parseContact } from './contact.js';
import { KadError } from './errors.js';
import { type Identity, verifySignature } from './identity.js';
import { type NodeId, isNodeId } from './node-id.js';
import { sha256 } from './sha256.js';

/** The most bytes in one message. */
export const MAX_MESSAGE_SIZE = 256 * 1024;
/** How far a message's time may be from ours, in milliseconds, either way. */
export const MAX_SKEW_MS = 60_000;

/** What an envelope says about the message in it. */
export interface Envelope {
  readonly sender: Contact;
  readonly recipient: NodeId;
  /** 16 random bytes in hex. An answer bears the nonce of its request. */
  readonly nonce: string;
  readonly kind: 'request' | 'response';
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** The JSON-RPC text, exactly as it was signed. */
  readonly payload: string;
}

// The signature is over the head and payload bytes as sent, so that nothing has to be re-encoded
// to be checked. On the wire: 128 hex digits, then the signed bytes (JSON).
const SIGNATURE_LENGTH = 128;
const LABEL = utf8('granary/1 envelope\0');

function digestOf(signed: Uint8Array): Uint8Array {
  return sha256(concatBytes(LABEL, signed));
}

/** Sign and encode a message. */
export function sealEnvelope(identity: Identity, envelope: Envelope): Uint8Array {
  const signed = utf8(JSON.stringify(envelope));
  return concatBytes(utf8(toHex(identity.sign(digestOf(signed)))), signed);
}

/** Remembers nonces for as long as their messages could be replayed. Bounded. */
export class NonceCache {
  private current = new Set<string>();
  private previous = new Set<string>();
  private turned: number;
  /** Nonces of each sender in `current`, so that one sender can't take all places. */
  private readonly perSender = new Map<NodeId, number>();
  private readonly senderLimit: number;

  constructor(
    private readonly clock: Clock,
    private readonly limit = 200_000,
  ) {
    this.turned = clock.now();
    this.senderLimit = Math.max(16, limit / 4);
  }

  /**
   * Take note of a nonce.
   *
   * @throws KadError KAD_REPLAYED when it was seen; KAD_BUSY when too many came to remember them.
   */
  take(sender: NodeId, nonce: string): void {
    const now = this.clock.now();
    // A message is good for at most twice the skew, from MAX_SKEW_MS ahead of us to as much behind.
    if (now - this.turned > 2 * MAX_SKEW_MS || now < this.turned) {
      this.previous = this.current;
      this.current = new Set();
      this.perSender.clear();
      this.turned = now;
    }
    const key = `${sender}${nonce}`;
    if (this.current.has(key) || this.previous.has(key)) {
      throw new KadError('KAD_REPLAYED', 'this message was received before');
    }
    const mine = this.perSender.get(sender) ?? 0;
    if (this.current.size >= this.limit || mine >= this.senderLimit) {
      throw new KadError('KAD_BUSY', 'too many messages at this time: try again in a minute');
    }
    this.current.add(key);
    this.perSender.set(sender, mine + 1);
  }
}

/** What a receiver expects of a message. */
export interface Expectation {
  readonly recipient: NodeId;
  readonly kind: Envelope['kind'];
  readonly now: number;
  /** For an answer: the nonce of the request. */
  readonly nonce?: string;
  /** Whom the connection or the request says that the sender is. */
  readonly sender?: NodeId;
}

/**
 * Decode a message and check, in this order, its size, form, recipient, age and signature. Nothing
 * else may look at a message before.
 *
 * @throws KadError KAD_TOO_LARGE, KAD_UNSIGNED, KAD_MALFORMED, KAD_MISADDRESSED, KAD_STALE,
 * KAD_IDENTITY_MISMATCH or KAD_BAD_SIGNATURE.
 */
export function openEnvelope(bytes: Uint8Array, expected: Expectation): Envelope {
  if (bytes.length > MAX_MESSAGE_SIZE) {
    throw new KadError('KAD_TOO_LARGE', `a message has at most ${MAX_MESSAGE_SIZE} bytes`);
  }
  const signature = fromUtf8(bytes.subarray(0, SIGNATURE_LENGTH));
  if (!/^[0-9a-f]{128}$/.test(signature)) {
    throw new KadError('KAD_UNSIGNED', 'a message begins with its signature, 128 hex digits');
  }
  const signed = bytes.subarray(SIGNATURE_LENGTH);
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(signed));
  } catch {
    throw new KadError('KAD_MALFORMED', 'the envelope is not JSON');
  }
  if (typeof value !== 'object' || value === null) {
    throw new KadError('KAD_MALFORMED', 'the envelope is not an object');
  }
  const { recipient, nonce, kind, time, payload, sender: from } = value as Record<string, unknown>;
  if (
    !isNodeId(recipient) ||
    typeof nonce !== 'string' ||
    !/^[0-9a-f]{32}$/.test(nonce) ||
    (kind !== 'request' && kind !== 'response') ||
    !Number.isSafeInteger(time) ||
    typeof payload !== 'string'
  ) {
    throw new KadError('KAD_MALFORMED', 'the envelope lacks a field or has a wrong one');
  }
  if (recipient !== expected.recipient) {
    throw new KadError('KAD_MISADDRESSED', 'the message is for another node');
  }
  if (kind !== expected.kind || (expected.nonce !== undefined && nonce !== expected.nonce)) {
    throw new KadError('KAD_MALFORMED', `this is not the ${expected.kind} that was expected`);
  }
  if (Math.abs(expected.now - (time as number)) > MAX_SKEW_MS) {
    throw new KadError(
      'KAD_STALE',
      `the message's time differs from ours by more than ${MAX_SKEW_MS / 1000} s: check both clocks`,
    );
  }
  const sender = parseContact(from);
  if (expected.sender !== undefined && sender.nodeId !== expected.sender) {
    throw new KadError(
      'KAD_IDENTITY_MISMATCH',
      'the message is from another node than its connection',
    );
  }
  if (!verifySignature(fromHex(sender.publicKey), digestOf(signed), fromHex(signature))) {
    throw new KadError('KAD_BAD_SIGNATURE', "the message's signature is not valid");
  }
  return { sender, recipient, nonce, kind, time: time as number, payload };
}
