import { type LinkKind, formatSecretLink, parseSecretLink } from './secret-link.js';

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

const KIND: LinkKind = {
  what: 'share link',
  plain: 'granary:share',
  mark: '',
  example: 'https://HOST/share.html',
  others: { g: 'it is an access grant: sign in with it in the app, or give it with --grant' },
};

/**
 * A share link as text: `PAGE#1.CODE&at=ADDRESS…`, or `granary:share#…` without a page. Everything that
 * matters is behind the `#`, which browsers do not send.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED when the page's address is none of the web, or has a fragment.
 */
export function formatShareLink({ share, ...link }: ShareLink): string {
  return formatSecretLink(KIND, { ...link, owner: share });
}

/** Whether a text is meant to be a share link, whole or not; or a link of another kind, which is no object's name. */
export function isShareLink(text: string): boolean {
  return /^(granary:(share|grant)\b|https?:\/\/)/i.test(text.trim());
}

/**
 * Read a share link.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED saying what is wrong with it.
 */
export function parseShareLink(text: string): ShareLink {
  const { owner, ...link } = parseSecretLink(KIND, text);
  return { ...link, share: owner };
}
