import { KadError } from './errors.js';
import { faultOfHiddenHost } from './hidden-host.js';
import { type NodeId, isNodeId } from './node-id.js';

/**
 * How an address is dialled: `https` takes messages as POSTs over TLS, `wss` carries them over a
 * WebSocket inside TLS, `ws` over a WebSocket in the clear.
 */
export type AddressScheme = 'https' | 'wss' | 'ws';

/** Where to dial, and whom to expect when that is known. */
export interface Address {
  readonly scheme: AddressScheme;
  /** Host name or IP address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly nodeId?: NodeId;
}

/** The most characters in an address. */
export const MAX_ADDRESS_LENGTH = 256;

const DEFAULT_PORTS: Record<AddressScheme, number> = { https: 443, wss: 443, ws: 80 };

/**
 * Parse `https://host:port`, `wss://host:port` or `ws://host:port`, each with `/<node ID>` after it
 * or not. Hosts of Tor (`.onion`) and of I2P (`.b32.i2p`) are checked for typing errors.
 *
 * @throws KadError KAD_BAD_ADDRESS.
 */
export function parseAddress(text: string): Address {
  const bad = (why: string) =>
    new KadError(
      'KAD_BAD_ADDRESS',
      `address "${text.slice(0, 100)}": ${why}; write https://host:port or https://host:port/NODE_ID (or wss:// or ws:// for a WebSocket)`,
    );
  if (text.length > MAX_ADDRESS_LENGTH) throw bad('it is too long');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad('it is not a URL');
  }
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== 'https' && scheme !== 'wss' && scheme !== 'ws') {
    throw bad('it is not https, wss or ws');
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw bad('it has parts that an address has not');
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (host === '') throw bad('it has no host');
  const fault = faultOfHiddenHost(host);
  if (fault !== undefined) throw bad(fault);
  const port = url.port === '' ? DEFAULT_PORTS[scheme] : Number(url.port);
  if (port === 0) throw bad('port 0 cannot be dialled');
  const path = url.pathname.replace(/^\//, '');
  if (path === '') return { scheme, host, port };
  if (!isNodeId(path)) throw bad('what follows the port is not a node ID');
  return { scheme, host, port, nodeId: path };
}

/** An address as text, without the node ID; `https` unless it says otherwise. */
export function formatAddress({
  scheme = 'https',
  host,
  port,
}: {
  readonly scheme?: AddressScheme;
  readonly host: string;
  readonly port: number;
}): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
