import { NatError } from '../errors.js';
import { bytesOfIpv4, ipv4Of } from './ipv4.js';

/** PCP, RFC 6887: its messages, as far as a host needs them to map a TCP port over IPv4. */

const VERSION = 2;
const OP_MAP = 1;
const RESPONSE = 0x80;
const TCP = 6;
const HEADER = 24;
const MAP = 36;
/** RFC 6887 section 15: whoever is granted more than a day takes it for a day. */
const MAX_LIFETIME = 86_400;

/** Bytes of a nonce. */
export const PCP_NONCE_BYTES = 12;

/** Result codes, section 7.4. */
const RESULTS: Readonly<Record<number, string>> = {
  1: 'it speaks another version',
  2: "it is not allowed: mapping is turned off, or the mapping is another's",
  3: 'it could not read the request',
  4: 'it does not know MAP requests',
  5: 'it does not know an option',
  6: 'it could not read an option',
  7: 'the router has no connection',
  8: 'the router has no more room',
  9: 'it does not map TCP',
  10: 'this host has as many ports as it may have',
  11: "it can't give what was asked for",
  12: 'there is another NAT between us and it',
  13: 'there are too many remote peers',
};

/** What a MAP request says. A lifetime of 0 removes the mapping (section 15). */
export interface PcpMapRequest {
  /** Our own address, which the router compares with where the request came from. */
  readonly clientAddress: string;
  readonly nonce: Uint8Array;
  readonly internalPort: number;
  readonly externalPort: number;
  readonly lifetimeSeconds: number;
}

/** What the router granted. */
export interface PcpGrant {
  readonly externalAddress: string | undefined;
  readonly externalPort: number;
  readonly lifetimeSeconds: number;
}

/** A MAP request (sections 7.1 and 11.1). */
export function encodePcpMap(request: PcpMapRequest): Uint8Array {
  const bytes = new Uint8Array(HEADER + MAP);
  const view = new DataView(bytes.buffer);
  bytes[0] = VERSION;
  bytes[1] = OP_MAP;
  view.setUint32(4, request.lifetimeSeconds);
  setMapped(bytes, 8, request.clientAddress);
  bytes.set(request.nonce.subarray(0, PCP_NONCE_BYTES), HEADER);
  bytes[HEADER + 12] = TCP;
  view.setUint16(HEADER + 16, request.internalPort);
  view.setUint16(HEADER + 18, request.externalPort);
  setMapped(bytes, HEADER + 20, '0.0.0.0');
  return bytes;
}

/**
 * What was granted, from an answer; undefined when it is not an answer to this request.
 *
 * @throws NatError NAT_NO_ANSWER when the router speaks NAT-PMP only (RFC 6886 section 3.5);
 * NAT_REFUSED; NAT_BAD_ANSWER.
 */
export function decodePcpMap(answer: Uint8Array, request: PcpMapRequest): PcpGrant | undefined {
  if (answer.length < 4) return undefined;
  if (answer[0] === 0 && (answer[1] ?? 0) >= RESPONSE) {
    throw new NatError('NAT_NO_ANSWER', 'the router speaks NAT-PMP, not PCP');
  }
  if (answer[0] !== VERSION || answer[1] !== RESPONSE + OP_MAP) return undefined;
  const result = answer[3] ?? 0;
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  // Answers to requests of others, or of ours from before, have other nonces and ports. A refusal
  // may be too short to say whom it is for.
  if (answer.length >= HEADER + MAP) {
    const nonce = answer.subarray(HEADER, HEADER + PCP_NONCE_BYTES);
    const ours =
      nonce.every((byte, i) => byte === request.nonce[i]) &&
      answer[HEADER + 12] === TCP &&
      view.getUint16(HEADER + 16) === request.internalPort;
    if (!ours) return undefined;
  }
  if (result !== 0) {
    const why = RESULTS[result] ?? 'it does not say why';
    throw new NatError('NAT_REFUSED', `the router refuses by PCP: ${why} (result ${result})`);
  }
  if (answer.length < HEADER + MAP) {
    throw new NatError('NAT_BAD_ANSWER', `a PCP answer of ${answer.length} bytes`);
  }
  return {
    externalAddress: mappedAt(answer, HEADER + 20),
    externalPort: view.getUint16(HEADER + 18),
    lifetimeSeconds: Math.min(MAX_LIFETIME, view.getUint32(4)),
  };
}

/** Write an IPv4 address as `::ffff:a.b.c.d` (section 5). */
function setMapped(bytes: Uint8Array, offset: number, address: string): void {
  bytes.fill(0xff, offset + 10, offset + 12);
  bytes.set(bytesOfIpv4(address), offset + 12);
}

function mappedAt(bytes: Uint8Array, offset: number): string | undefined {
  const zeros = bytes.subarray(offset, offset + 10).every((byte) => byte === 0);
  const mapped = zeros && bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
  return mapped ? ipv4Of(bytes, offset + 12) : undefined;
}
