import { concatBytes, fromBase64, parseAddress, toBase64 } from '@granary/kad';
import { ProtocolError } from './errors.js';
import { fromHex, toHex } from './hex.js';

/** The most addresses in a link. */
export const MAX_LINK_ADDRESSES = 4;
/** The longest link that is looked at, in characters. */
export const MAX_LINK_LENGTH = 2048;

/** What a link of any kind says. */
export interface SecretLink {
  /** Where its record is: the node ID of the key that signs it. */
  readonly owner: string;
  /** 32 bytes that open it, and that the reader's key comes from. */
  readonly secret: Uint8Array;
  /** Addresses of nodes to join the network by; at most {@link MAX_LINK_ADDRESSES}. */
  readonly addresses: readonly string[];
  /** The page that opens it in a browser, without its fragment; null for the form of the command alone. */
  readonly page: string | null;
}

/** What tells one kind of link from another. */
export interface LinkKind {
  /** What it is called in errors. */
  readonly what: string;
  /** What it begins with when no page opens it. */
  readonly plain: string;
  /** What is before the number of its version. */
  readonly mark: string;
  /** A page of this kind, to show how one is written. */
  readonly example: string;
  /** What to say of a link that has another mark, by the mark. */
  readonly others: Readonly<Record<string, string>>;
}

const SECRET_SIZE = 32;
/** 64 bytes in base64url, with what is before them. */
const CODE = /^([a-z]*)(\d+)\.(.*)$/;
const BYTES = /^[A-Za-z0-9_-]{86}$/;

/**
 * A link as text: `PAGE#MARK1.CODE&at=ADDRESS…`. Everything that matters is behind the `#`, which browsers
 * do not send.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED when the page's address is none of the web, or has a fragment.
 */
export function formatSecretLink(kind: LinkKind, link: SecretLink): string {
  const { owner, secret, addresses, page } = link;
  if (page !== null) checkPage(kind, page);
  const code = toBase64(concatBytes(fromHex(owner), secret))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
  const at = addresses
    .slice(0, MAX_LINK_ADDRESSES)
    .map((address) => `&at=${encodeURIComponent(address).replace(/%3A|%2F/g, decodeURIComponent)}`);
  return `${page ?? kind.plain}#${kind.mark}1.${code}${at.join('')}`;
}

/**
 * Read a link.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED saying what is wrong with it.
 */
export function parseSecretLink(kind: LinkKind, text: string): SecretLink {
  const bad = (why: string) => malformed(kind, why);
  const link = text.trim();
  if (link.length > MAX_LINK_LENGTH) throw bad('it is too long');
  const hash = link.indexOf('#');
  if (hash < 0) throw bad('the part behind the # is missing: copy the whole link');
  const head = link.slice(0, hash);
  const [code = '', ...rest] = link.slice(hash + 1).split('&');
  const [, mark, version, body = ''] = CODE.exec(code) ?? [];
  const other = mark === undefined ? undefined : kind.others[mark];
  if (other !== undefined) throw bad(other);
  if (mark === kind.mark && version !== '1') {
    throw bad(`it is of version ${version}: a newer Granary opens it`);
  }
  const page = head.toLowerCase() === kind.plain ? null : head;
  if (page !== null) checkPage(kind, page);
  const broken = 'the part behind the # is not whole: copy the whole link';
  if (mark !== kind.mark || !BYTES.test(body)) throw bad(broken);
  let bytes: Uint8Array;
  try {
    bytes = fromBase64(`${body.replaceAll('-', '+').replaceAll('_', '/')}==`);
  } catch {
    throw bad(broken);
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
  return { owner: toHex(bytes.subarray(0, SECRET_SIZE)), secret, addresses, page };
}

function checkPage(kind: LinkKind, page: string): void {
  let url: URL;
  try {
    url = new URL(page);
  } catch {
    throw malformed(kind, `"${page}" is not the address of a page`);
  }
  if (!/^https?:$/.test(url.protocol) || page.includes('#')) {
    throw malformed(kind, `"${page}" is not the address of a page: ${kind.example}`);
  }
}

function malformed({ what }: LinkKind, why: string): ProtocolError {
  return new ProtocolError('PROTOCOL_MALFORMED', `the ${what} can't be read: ${why}`);
}
