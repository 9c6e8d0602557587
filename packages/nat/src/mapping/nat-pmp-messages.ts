import { NatError } from '../errors.js';
import { ipv4Of } from './ipv4.js';

/** NAT-PMP, RFC 6886: its messages. Version 0 throughout. */

const OP_ADDRESS = 0;
const OP_MAP_TCP = 2;
const RESPONSE = 128;

/** Result codes, section 3.5. */
const RESULTS: Readonly<Record<number, string>> = {
  1: 'it speaks another version',
  2: 'it is not allowed: mapping is turned off',
  3: 'the router has no connection',
  4: 'the router has no more room',
  5: 'it does not know the request',
};

/** Ask for the address outside (section 3.2). */
export function encodeAddressRequest(): Uint8Array {
  return Uint8Array.of(0, OP_ADDRESS);
}

/**
 * Ask for a TCP port (section 3.3). A lifetime of 0, with `externalPort` 0, removes the mapping
 * (section 3.4).
 */
export function encodeMapRequest(request: {
  internalPort: number;
  externalPort: number;
  lifetimeSeconds: number;
}): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  bytes[1] = OP_MAP_TCP;
  view.setUint16(4, request.internalPort);
  view.setUint16(6, request.externalPort);
  view.setUint32(8, request.lifetimeSeconds);
  return bytes;
}

/**
 * The address outside, from an answer; undefined when it is not an answer to that.
 *
 * @throws NatError NAT_REFUSED; NAT_BAD_ANSWER.
 */
export function decodeAddress(answer: Uint8Array): string | undefined {
  if (!answers(answer, OP_ADDRESS)) return undefined;
  refuse(answer, 12);
  return ipv4Of(answer, 8);
}

/**
 * The port outside and for how long, from an answer; undefined when it is not an answer to that.
 *
 * @throws NatError NAT_REFUSED; NAT_BAD_ANSWER.
 */
export function decodeMap(
  answer: Uint8Array,
  internalPort: number,
): { externalPort: number; lifetimeSeconds: number } | undefined {
  if (!answers(answer, OP_MAP_TCP)) return undefined;
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  // A refusal names the port, too, when it is as long as it should be.
  if (answer.length >= 10 && view.getUint16(8) !== internalPort) return undefined;
  refuse(answer, 16);
  return { externalPort: view.getUint16(10), lifetimeSeconds: view.getUint32(12) };
}

function answers(answer: Uint8Array, op: number): boolean {
  return answer.length >= 4 && answer[0] === 0 && answer[1] === RESPONSE + op;
}

function refuse(answer: Uint8Array, length: number): void {
  const result = new DataView(answer.buffer, answer.byteOffset).getUint16(2);
  if (result !== 0) {
    const why = RESULTS[result] ?? 'it does not say why';
    throw new NatError('NAT_REFUSED', `the router refuses by NAT-PMP: ${why} (result ${result})`);
  }
  if (answer.length < length) {
    throw new NatError('NAT_BAD_ANSWER', `a NAT-PMP answer of ${answer.length} bytes`);
  }
}
