import { concatBytes, fromBase64, parseAddress, toBase64 } from '@granary/kad';
import { ProtocolError } from './errors.js';
import { fromHex, toHex } from './hex.js';

/** What a share link says. */
export interface ShareLink {
  /** Where its record is: the node ID of the key that signs it. */
  readonly share: string;
  /** 32 bytes that open it, and that the reader's key comes from. */
  readonly secret: Uint8Array;
  /** Addresses of nodes to join the network by; at most {@link MAX_LINK_ADDRESSES}. */
  readonly addresses: readonly string[];
  /** The page that opens it in a browser, without its fragment; null for the form of the command alone. */
  readonly page: string | null;
}

/** The most addresses in a link. */
export const MAX_LINK_ADDRESSES = 4;
/** The longest link that is looked at, in characters. */
export const MAX_LINK_LENGTH = 2048;

const PLAIN = 'granary:share';
const SECRET_SIZE = 32;
/** 64 bytes in base64url. */
const CODE = /^1\.([A-Za-z0-9_-]{86})$/;

/**
 * A share link as text: `PAGE#1.CODE&at=ADDRESS…`, or `granary:share#…` without a page. Everything that
 * matters is behind the `#`, which browsers do not send.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED when the page's address is none of the web, or has a fragment.
 */
export function formatShareLink({ share, secret, addresses, page }: ShareLink): string {
  if (page !== null) checkPage(page);
  const code = toBase64(concatBytes(fromHex(share), secret))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
  const at = addresses
    .slice(0, MAX_LINK_ADDRESSES)
    .map((address) => `&at=${encodeURIComponent(address).replace(/%3A|%2F/g, decodeURIComponent)}`);
  return `${page ?? PLAIN}#1.${code}${at.join('')}`;
}

/** Whether a text is meant to be a share link, whole or not. */
export function isShareLink(text: string): boolean {
  return /^(granary:share\b|https?:\/\/)/i.test(text.trim());
}

/**
 * Read a share link.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED saying what is wrong with it.
 */
export function parseShareLink(text: string): ShareLink {
  const link = text.trim();
  if (link.length > MAX_LINK_LENGTH) throw bad('it is too long');
  const hash = link.indexOf('#');
  if (hash < 0) throw bad('the part behind the # is missing: copy the whole link');
  const head = link.slice(0, hash);
  const [code = '', ...rest] = link.slice(hash + 1).split('&');
  const page = head.toLowerCase() === PLAIN ? null : head;
  if (page !== null) checkPage(page);
  const version = /^(\d+)\./.exec(code)?.[1];
  if (version !== undefined && version !== '1') {
    throw bad(`it is of version ${version}: a newer Granary opens it`);
  }
  const match = CODE.exec(code);
  if (match === null) throw bad('the part behind the # is not whole: copy the whole link');
  let bytes: Uint8Array;
  try {
    bytes = fromBase64(`${match[1]!.replaceAll('-', '+').replaceAll('_', '/')}==`);
  } catch {
    throw bad('the part behind the # is not whole: copy the whole link');
  }
  const addresses: string[] = [];
  for (const part of rest) {
    // What a newer version may add is passed over.
    if (!part.startsWith('at=') || addresses.length === MAX_LINK_ADDRESSES) continue;
    try {
      const address = decodeURIComponent(part.slice('at='.length));
      parseAddress(address);
      addresses.push(address);
    } catch {
      throw bad('an address in it is none');
    }
  }
  const secret = bytes.slice(SECRET_SIZE);
  return { share: toHex(bytes.subarray(0, SECRET_SIZE)), secret, addresses, page };
}

function checkPage(page: string): void {
  let url: URL;
  try {
    url = new URL(page);
  } catch {
    throw bad(`"${page}" is not the address of a page`);
  }
  if (!/^https?:$/.test(url.protocol) || page.includes('#')) {
    throw bad(`"${page}" is not the address of a page: https://HOST/share.html`);
  }
}

function bad(why: string): ProtocolError {
  return new ProtocolError('PROTOCOL_MALFORMED', `the share link can't be read: ${why}`);
}
