import { KadError } from './errors.js';
import { faultOfHiddenHost } from './hidden-host.js';
import { LruMap } from './lru-map.js';
import { type NodeId, isNodeId } from './node-id.js';

/**
 * How an address is dialled: `https` takes messages as POSTs over TLS, `wss` carries them over a
 * WebSocket inside TLS, `ws` over a WebSocket in the clear, `webrtc` over WebRTC data channels.
 */
export type AddressScheme = 'https' | 'wss' | 'ws' | 'webrtc';

/** Where to dial, and whom to expect when that is known. */
export interface Address {
  readonly scheme: AddressScheme;
  /** Host name or IP address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Of `webrtc`: the SHA-256 of the certificate that must be shown there, 64 lower-case hex digits. */
  readonly certificate?: string;
  readonly nodeId?: NodeId;
}

/** The most characters in an address. */
export const MAX_ADDRESS_LENGTH = 256;

// 0: a port has to be named.
const DEFAULT_PORTS: Record<AddressScheme, number> = { https: 443, wss: 443, ws: 80, webrtc: 0 };

/**
 * Parse `https://host:port`, `wss://host:port` or `ws://host:port`, each with `/<node ID>` after it
 * or not; or `webrtc://ip:port/<certificate hash>`, with the node ID after that or not. Hosts of Tor (`.onion`) and of I2P (`.b32.i2p`) are checked for typing errors.
 *
 * @throws KadError KAD_BAD_ADDRESS.
 */
export function parseAddress(text: string): Address {
  const before = parsed.get(text);
  if (before !== undefined) return before;
  const address = Object.freeze(parse(text));
  parsed.set(text, address);
  return address;
}

// The same few come with every message.
const parsed = new LruMap<string, Address>(2_000);

function parse(text: string): Address {
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
  if (scheme !== 'https' && scheme !== 'wss' && scheme !== 'ws' && scheme !== 'webrtc') {
    throw bad('it is not https, wss, ws or webrtc');
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
  if (scheme === 'webrtc') {
    if (!isIp(host)) throw bad('a webrtc address has an IP address');
    const [certificate = '', nodeId, ...more] = path.split('/');
    if (!/^[0-9a-f]{64}$/.test(certificate) || more.length > 0) {
      throw bad('a webrtc address has the SHA-256 of a certificate after the port');
    }
    if (nodeId === undefined) return { scheme, host, port, certificate };
    if (!isNodeId(nodeId)) throw bad('what follows the certificate is not a node ID');
    return { scheme, host, port, certificate, nodeId };
  }
  if (path === '') return { scheme, host, port };
  if (!isNodeId(path)) throw bad('what follows the port is not a node ID');
  return { scheme, host, port, nodeId: path };
}

/** Whether a host is an IPv4 address, or an IPv6 address as far as the URL parser has let it through. */
function isIp(host: string): boolean {
  return host.includes(':') || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}

/** An address as text, without the node ID; `https` unless it says otherwise. */
export function formatAddress({
  scheme = 'https',
  host,
  port,
  certificate,
}: {
  readonly scheme?: AddressScheme;
  readonly host: string;
  readonly port: number;
  readonly certificate?: string;
}): string {
  const place = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return certificate === undefined ? place : `${place}/${certificate}`;
}
