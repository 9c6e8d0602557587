import { sign, type KeyObject } from 'node:crypto';
import * as asn1 from 'asn1js';

/** What a self-signed certificate says. */
export interface CertificateContent {
  /** Common name of subject and issuer; printable ASCII. */
  readonly name: string;
  /** Validity, in whole seconds. */
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** The one extension, not critical: its OID and the bytes in its OCTET STRING. */
  readonly extension: { readonly oid: string; readonly value: Uint8Array };
}

const COMMON_NAME = '2.5.4.3';
/** RFC 5758, section 3.2. */
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
/** From this year on times are GeneralizedTime (RFC 5280, section 4.1.2.5). */
const GENERALIZED_FROM = 2050;
/** Tags of the optional fields of a TBSCertificate (RFC 5280, section 4.1). */
const [VERSION, EXTENSIONS] = [0, 3];
const CONTEXT_SPECIFIC = 3;

const sequence = (...value: asn1.AsnType[]) => new asn1.Sequence({ value });
const tagged = (tagNumber: number, value: asn1.AsnType) =>
  new asn1.Constructed({ idBlock: { tagClass: CONTEXT_SPECIFIC, tagNumber }, value: [value] });
const oid = (value: string) => new asn1.ObjectIdentifier({ value });
const octets = (bytes: Uint8Array) => new asn1.OctetString({ valueHex: bytes });

function nameOf(commonName: string): asn1.Sequence {
  const value = new asn1.Utf8String({ value: commonName });
  return sequence(new asn1.Set({ value: [sequence(oid(COMMON_NAME), value)] }));
}

function timeOf(valueDate: Date): asn1.AsnType {
  return valueDate.getUTCFullYear() < GENERALIZED_FROM
    ? new asn1.UTCTime({ valueDate })
    : new asn1.GeneralizedTime({ valueDate });
}

/**
 * A self-signed certificate, version 3, DER (RFC 5280), signed with ECDSA and SHA-256.
 *
 * @param key - the private key of `spki`, on a NIST curve
 */
export function selfSignedCertificate(content: CertificateContent, key: KeyObject): Uint8Array {
  const { name, notBefore, notAfter, spki, extension } = content;
  const algorithm = () => sequence(oid(ECDSA_WITH_SHA256));
  const tbs = sequence(
    tagged(VERSION, new asn1.Integer({ value: 2 })),
    new asn1.Integer({ value: 1 }),
    algorithm(),
    nameOf(name),
    sequence(timeOf(notBefore), timeOf(notAfter)),
    nameOf(name),
    asn1.fromBER(spki).result,
    tagged(EXTENSIONS, sequence(sequence(oid(extension.oid), octets(extension.value)))),
  );
  const signature = sign('sha256', new Uint8Array(tbs.toBER()), key);
  const whole = sequence(tbs, algorithm(), new asn1.BitString({ valueHex: signature }));
  return new Uint8Array(whole.toBER());
}

/**
 * The bytes in the OCTET STRING of an extension; undefined when the certificate has no such one.
 *
 * @param der - a certificate; bytes that are none have no extensions
 * @throws Error when the certificate has the extension twice.
 */
export function extensionOf(der: Uint8Array, wanted: string): Uint8Array | undefined {
  const [tbs] = valuesOf(asn1.fromBER(der).result);
  const field = valuesOf(tbs).find(
    ({ idBlock }) => idBlock.tagClass === CONTEXT_SPECIFIC && idBlock.tagNumber === EXTENSIONS,
  );
  const found = valuesOf(valuesOf(field)[0]).flatMap((extension) => {
    const [id, ...rest] = valuesOf(extension);
    const value = rest.at(-1);
    const isIt = id instanceof asn1.ObjectIdentifier && id.getValue() === wanted;
    return isIt && value instanceof asn1.OctetString ? [value] : [];
  });
  if (found.length > 1) throw new Error('it has one extension twice');
  return found[0] === undefined ? undefined : new Uint8Array(found[0].getValue());
}

function valuesOf(block: asn1.AsnType | undefined): asn1.AsnType[] {
  return block instanceof asn1.Constructed ? block.valueBlock.value : [];
}
