import { isIP } from 'node:net';
import { NatError } from './errors.js';

/** A SOCKS5 proxy (RFC 1928) that resolves names itself. */
export interface ProxySettings {
  /** IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Who we are to the proxy (RFC 1929): 1 to 255 bytes each. */
  readonly credentials?: { readonly username: string; readonly password: string };
}

const DEFAULT_PORT = 1080;
const MAX_CREDENTIAL = 255;

/**
 * Parse `socks5h://[USER:PASSWORD@]HOST:PORT`. The host is an IP address or `localhost`: the look-up
 * of a name would be a packet to somebody else than the proxy.
 *
 * @throws NatError NAT_BAD_SETTING. Its message never has the password.
 */
export function parseProxy(text: string): ProxySettings {
  const bad = (why: string) =>
    new NatError('NAT_BAD_SETTING', `proxy: ${why}; write socks5h://127.0.0.1:9050`);
  if (text === '') {
    throw new NatError('NAT_BAD_SETTING', 'proxy: it is empty; write "none" to do without one');
  }
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad('it is not a URL');
  }
  if (['socks5:', 'socks:', 'socks4:', 'socks4a:'].includes(url.protocol)) {
    throw bad(
      `${url.protocol}// is not enough, names have to be resolved by the proxy: socks5h://`,
    );
  }
  if (url.protocol !== 'socks5h:') throw bad('only SOCKS5 proxies can be used');
  if (!['', '/'].includes(url.pathname) || url.search !== '' || url.hash !== '') {
    throw bad('it has parts that the address of a proxy has not');
  }
  const named = url.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  const host = named === 'localhost' ? '127.0.0.1' : named;
  if (isIP(host) === 0) {
    throw bad('its host has to be an IP address, since a look-up of its name would go past it');
  }
  const port = url.port === '' ? DEFAULT_PORT : Number(url.port);
  if (port === 0) throw bad('it has no port');
  if (url.username === '' && url.password === '') return { host, port };
  return { host, port, credentials: credentialsOf(url, bad) };
}

function credentialsOf(
  url: URL,
  bad: (why: string) => NatError,
): NonNullable<ProxySettings['credentials']> {
  let username: string;
  let password: string;
  try {
    username = decodeURIComponent(url.username);
    password = decodeURIComponent(url.password);
  } catch {
    throw bad('its user or password is not percent-encoded as it should be');
  }
  for (const part of [username, password]) {
    const bytes = Buffer.byteLength(part);
    if (bytes === 0) throw bad('a user takes a password, and a password a user');
    if (bytes > MAX_CREDENTIAL) throw bad(`user and password have at most ${MAX_CREDENTIAL} bytes`);
  }
  return { username, password };
}

/** A proxy as text, for people and logs: without user and password. */
export function formatProxy({ host, port }: ProxySettings): string {
  return `socks5h://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
