import { type Identity, nodeIdOf, verifySignature } from '@granary/kad';
import { documentDigest } from './canonical.js';
import { ProtocolError } from './errors.js';
import { fromHex, toHex } from './hex.js';

/** Sign a document of one kind; the signature in hex. */
export function signDocument(identity: Identity, label: string, document: unknown): string {
  return toHex(identity.sign(documentDigest(label, document)));
}

/**
 * Check a signature on a document and that the key is the node's.
 *
 * @throws ProtocolError PROTOCOL_BAD_SIGNATURE naming who should have signed what.
 */
export function checkDocument(
  label: string,
  document: unknown,
  signer: { nodeId: string; publicKey: string },
  signature: string,
): void {
  const key = fromHex(signer.publicKey);
  if (nodeIdOf(key) !== signer.nodeId) {
    throw new ProtocolError(
      'PROTOCOL_BAD_SIGNATURE',
      `${label}: the public key does not belong to node ${signer.nodeId}`,
    );
  }
  if (!verifySignature(key, documentDigest(label, document), fromHex(signature))) {
    throw new ProtocolError(
      'PROTOCOL_BAD_SIGNATURE',
      `${label}: the signature of node ${signer.nodeId} is not valid`,
    );
  }
}
