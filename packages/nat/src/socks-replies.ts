import { KadError } from '@granary/kad';

/** The most bytes that a proxy has to say before a connection is open (RFC 1928, RFC 1929). */
export const MAX_NEGOTIATION = 2 + 2 + 4 + 1 + 255 + 2;

const VERSION = 5;
const BY_PASSWORD = 2;
const NONE_ACCEPTED = 0xff;

/** RFC 1928, section 6, and Tor's extended errors (proposal 304). */
const MEANINGS: Record<number, string> = {
  1: 'general failure',
  3: 'the network is unreachable',
  4: 'the host is unreachable',
  5: 'the connection was refused',
  6: 'it took too long',
  0xf0: 'there is no such onion service',
  0xf1: 'what the onion service says of itself is not valid',
  0xf2: 'no way to the onion service could be made',
  0xf3: 'the onion service could not be met',
  0xf4: 'the onion service asks for authorisation',
  0xf5: 'the onion service refused our authorisation',
  0xf6: 'the address is no onion address',
  0xf7: 'the onion service did not answer in time',
};

/** What a proxy has said until now. */
export type ProxyAnswer =
  | { readonly kind: 'unfinished' }
  /** The connection is open; `length` bytes were said for that. */
  | { readonly kind: 'open'; readonly length: number }
  | { readonly kind: 'failed'; readonly error: KadError };

/**
 * Read all that a proxy has said from the beginning.
 *
 * @param proxy - for messages
 * @param where - what was asked for, for messages
 */
export function readAnswer(said: Uint8Array, proxy: string, where: string): ProxyAnswer {
  const unusable = (why: string): ProxyAnswer => ({
    kind: 'failed',
    error: proxyError(proxy, why),
  });
  if (said.length === 0) return { kind: 'unfinished' };
  if (said[0] !== VERSION) return unusable('it does not speak SOCKS5');
  if (said.length < 2) return { kind: 'unfinished' };
  const method = said[1];
  if (method === NONE_ACCEPTED) return unusable('it asks for a user and a password');
  if (method !== 0 && method !== BY_PASSWORD) {
    return unusable(`it wants method ${method}, which was not offered`);
  }
  let at = 2;
  if (method === BY_PASSWORD) {
    if (said.length < 4) return { kind: 'unfinished' };
    if (said[3] !== 0) return unusable('it refuses our user and password');
    at = 4;
  }
  const reply = said.subarray(at);
  if (reply.length === 0) return { kind: 'unfinished' };
  if (reply[0] !== VERSION) return unusable('it does not speak SOCKS5');
  if (reply.length < 2) return { kind: 'unfinished' };
  const code = reply[1]!;
  if (code !== 0) return { kind: 'failed', error: refusalError(code, proxy, where) };
  // Version, code, reserved, type of address, address, port.
  if (reply.length < 5) return { kind: 'unfinished' };
  const sizes: Record<number, number> = { 1: 4, 3: 1 + reply[4]!, 4: 16 };
  const size = sizes[reply[3]!];
  if (size === undefined) return unusable('it answers with a kind of address that there is not');
  const length = 4 + size + 2;
  return reply.length < length ? { kind: 'unfinished' } : { kind: 'open', length: at + length };
}

/** That the proxy itself can't be used, which says nothing of who was to be reached through it. */
export function proxyError(proxy: string, why: string, cause?: unknown): KadError {
  return new KadError(
    'KAD_PROXY',
    `the proxy ${proxy} can't be used: ${why}. Nothing is dialled without it`,
    { cause },
  );
}

function refusalError(code: number, proxy: string, where: string): KadError {
  // It speaks to us, but will not do what we need of it at all.
  if (code === 7) return proxyError(proxy, 'it makes no connections');
  // The node may be alive: there is just no way to it from here.
  if (code === 2 || code === 8) {
    const why = code === 2 ? 'its rules do not allow it' : 'it does not know such addresses';
    return new KadError('KAD_BAD_ADDRESS', `the proxy does not dial ${where}: ${why}`);
  }
  const meaning = MEANINGS[code];
  if (meaning === undefined) return proxyError(proxy, `it answers with code ${code}`);
  return new KadError('KAD_UNREACHABLE', `${where} can't be reached through the proxy: ${meaning}`);
}
