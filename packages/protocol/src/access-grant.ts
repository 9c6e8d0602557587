import { type LinkKind, formatSecretLink, parseSecretLink } from './secret-link.js';

/** What an access grant says: who has it can list and read what is in its scope. */
export interface AccessGrant {
  /** Where its record is: the node ID of the key that signs it. */
  readonly grant: string;
  /** 32 bytes that open it, and that the reader's key comes from. */
  readonly secret: Uint8Array;
  /** Addresses of nodes to join the network by; at most 4. */
  readonly addresses: readonly string[];
  /** The page that opens it in a browser, without its fragment; null for the form of the command alone. */
  readonly page: string | null;
}

const KIND: LinkKind = {
  what: 'access grant',
  plain: 'granary:grant',
  mark: 'g',
  example: 'https://HOST/app.html',
  others: { '': 'it is a share link: it opens by itself, without signing in' },
};

/**
 * An access grant as text: `PAGE#g1.CODE&at=ADDRESS…`, or `granary:grant#…` without a page. Everything
 * that matters is behind the `#`, which browsers do not send.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED when the page's address is none of the web, or has a fragment.
 */
export function formatAccessGrant({ grant, ...link }: AccessGrant): string {
  return formatSecretLink(KIND, { ...link, owner: grant });
}

/** Whether a text is meant to be an access grant, whole or not. */
export function isAccessGrant(text: string): boolean {
  return /^(granary:grant\b|https?:\/\/[^#]*#g\d)/i.test(text.trim());
}

/**
 * Read an access grant.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED saying what is wrong with it.
 */
export function parseAccessGrant(text: string): AccessGrant {
  const { owner, ...link } = parseSecretLink(KIND, text);
  return { ...link, grant: owner };
}
