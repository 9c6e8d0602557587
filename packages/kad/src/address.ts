import { KadError } from './errors.js';
import { type NodeId, isNodeId } from './node-id.js';

/** Where to dial, and whom to expect when that is known. */
export interface Address {
  /** Host name or IP address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly nodeId?: NodeId;
}

/** The most characters in an address. */
export const MAX_ADDRESS_LENGTH = 256;

/**
 * Parse `https://host:port` or `https://host:port/<node ID>`; `wss:` is the same to us.
 *
 * @throws KadError KAD_BAD_ADDRESS.
 */
export function parseAddress(text: string): Address {
  const bad = (why: string) =>
    new KadError(
      'KAD_BAD_ADDRESS',
      `address "${text.slice(0, 100)}": ${why}; write https://host:port or https://host:port/NODE_ID`,
    );
  if (text.length > MAX_ADDRESS_LENGTH) throw bad('it is too long');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad('it is not a URL');
  }
  if (url.protocol !== 'https:' && url.protocol !== 'wss:') throw bad('it is not https');
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw bad('it has parts that an address has not');
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (host === '') throw bad('it has no host');
  const port = url.port === '' ? 443 : Number(url.port);
  if (port === 0) throw bad('port 0 cannot be dialled');
  const path = url.pathname.replace(/^\//, '');
  if (path === '') return { host, port };
  if (!isNodeId(path)) throw bad('what follows the port is not a node ID');
  return { host, port, nodeId: path };
}

/** An address as text, without the node ID. */
export function formatAddress({ host, port }: Address): string {
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
