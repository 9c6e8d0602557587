import canonicalize from 'canonicalize';
import { sha256 } from '@granary/kad';
import { ProtocolError } from './errors.js';

const encoder = new TextEncoder();

/**
 * The canonical JSON bytes of a value (RFC 8785), over which documents are hashed and signed.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED when the value has no JSON form.
 */
export function canonicalBytes(value: unknown): Uint8Array {
  const text = canonicalize(value);
  if (text === undefined) {
    throw new ProtocolError('PROTOCOL_MALFORMED', 'the document has no JSON form');
  }
  return encoder.encode(text);
}

/**
 * The digest that is signed for a document: SHA-256 over a label, a zero byte and the canonical
 * JSON. The label keeps a signature on one kind of document from being valid on another.
 */
export function documentDigest(label: string, value: unknown): Uint8Array {
  const head = encoder.encode(`granary/1 ${label}\0`);
  const body = canonicalBytes(value);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return sha256(bytes);
}
