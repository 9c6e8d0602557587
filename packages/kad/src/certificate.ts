import { X509Certificate, createPrivateKey, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { extensionOf, selfSignedCertificate } from './certificate-der.js';
import { type Clock, systemClock } from './clock.js';
import { KadError } from './errors.js';
import { type Identity, verifySignature } from './identity.js';
import { LruMap } from './lru-map.js';
import { type NodeId, nodeIdOf } from './node-id.js';
import { sha256 } from './sha256.js';

/** A TLS key and its certificate, both PEM. */
export interface TlsCredentials {
  readonly key: string;
  readonly cert: string;
}

/** Who is at the other end of a TLS connection. */
export interface PeerIdentity {
  readonly nodeId: NodeId;
  /** Compressed secp256k1 key, 33 bytes. */
  readonly publicKey: Uint8Array;
}

/**
 * The certificate extension that binds a TLS key to an identity: the identity's public key (33
 * bytes) and its signature (64 bytes) over the certificate's SubjectPublicKeyInfo, in the manner of
 * the libp2p TLS specification. The OID lies
 * in the arc for experiments (RFC 1155, section 3.1.3).
 */
export const IDENTITY_EXTENSION = '1.3.6.1.3.47261.1';

const LABEL = Buffer.from('granary/1 tls\0');
const YEAR_MS = 365 * 24 * 3600 * 1000;

function bindingDigest(spki: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([LABEL, spki]));
}

function pem(label: string, der: Uint8Array): string {
  const body = Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n');
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
}

/** Make a TLS key and a self-signed certificate bound to an identity, valid for ten years. */
export async function createTlsCredentials(
  identity: Identity,
  clock: Clock = systemClock,
): Promise<TlsCredentials> {
  // Off the event loop.
  const pair = await promisify(generateKeyPair)('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  const spki = new Uint8Array(pair.publicKey);
  const value = Buffer.concat([identity.publicKey, identity.sign(bindingDigest(spki))]);
  const certificate = selfSignedCertificate(
    {
      name: identity.nodeId.slice(0, 32),
      notBefore: wholeSeconds(clock.now() - 24 * 3600 * 1000),
      notAfter: wholeSeconds(clock.now() + 10 * YEAR_MS),
      spki,
      extension: { oid: IDENTITY_EXTENSION, value },
    },
    createPrivateKey({ key: pair.privateKey, type: 'pkcs8', format: 'der' }),
  );
  return { key: pem('PRIVATE KEY', pair.privateKey), cert: pem('CERTIFICATE', certificate) };
}

function wholeSeconds(time: number): Date {
  return new Date(Math.floor(time / 1000) * 1000);
}

const known = new LruMap<string, PeerIdentity & { until: number }>(4096);

/**
 * The identity that a certificate is bound to.
 *
 * @param der - the certificate as it came over TLS, which has proved that its key is there
 * @throws KadError KAD_BAD_CERTIFICATE when the binding is missing or forged, or the certificate is
 * not valid at this time.
 */
export function identityOfCertificate(der: Uint8Array, clock: Clock = systemClock): PeerIdentity {
  const fingerprint = Buffer.from(sha256(der)).toString('base64');
  const cached = known.get(fingerprint);
  if (cached !== undefined && cached.until > clock.now()) return cached;
  const bad = (why: string, cause?: unknown) =>
    new KadError('KAD_BAD_CERTIFICATE', `the TLS certificate ${why}`, { cause });
  if (der.length > 16 * 1024) throw bad('is too long');
  let spki: Uint8Array;
  let binding: Uint8Array | undefined;
  let from: number;
  let until: number;
  try {
    const parsed = new X509Certificate(der);
    binding = extensionOf(der, IDENTITY_EXTENSION);
    from = Date.parse(parsed.validFrom);
    until = Date.parse(parsed.validTo);
    spki = parsed.publicKey.export({ type: 'spki', format: 'der' });
    if (!parsed.verify(parsed.publicKey)) throw new Error('its self-signature is not valid');
  } catch (error) {
    throw bad('cannot be read', error);
  }
  if (binding === undefined) throw bad('is not bound to a node identity');
  if (binding.length !== 97) throw bad('has a malformed identity extension');
  const now = clock.now();
  if (!(now >= from && now <= until)) throw bad('is not valid at this time: check the clocks');
  const publicKey = binding.slice(0, 33);
  if (!verifySignature(publicKey, bindingDigest(spki), binding.subarray(33))) {
    throw bad('claims an identity that did not sign it');
  }
  const identity = { nodeId: nodeIdOf(publicKey), publicKey, until };
  known.set(fingerprint, identity);
  return identity;
}
