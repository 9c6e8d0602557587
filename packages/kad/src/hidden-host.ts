import { sha3_256 } from '@noble/hashes/sha3.js';
import { concatBytes, utf8 } from './bytes.js';

/** A network of hosts that hide where they are, and that only its own routers can reach. */
export type HiddenNetwork = 'onion' | 'i2p';

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const ONION_CHECKSUM = utf8('.onion checksum');
const ONION_VERSION = 3;

/**
 * The network of a host name that ends in `.onion` (Tor) or `.i2p`; undefined for all others. Such a
 * name must never be looked up in the DNS, which would tell others whom we want to reach
 * (RFC 7686, section 2).
 */
export function hiddenNetworkOf(host: string): HiddenNetwork | undefined {
  const labels = host.toLowerCase().replace(/\.+$/, '').split('.');
  const last = labels.at(-1);
  return last === 'onion' || last === 'i2p' ? last : undefined;
}

/**
 * What is wrong with a host name of Tor or I2P; undefined when nothing is, or when it is of neither.
 * An onion address is one of version 3, whose checksum finds typing errors (Tor's rend-spec-v3,
 * section 6). An I2P address is the hash of a destination, `….b32.i2p`: other names of I2P mean
 * something only in the address book of one router.
 */
export function faultOfHiddenHost(host: string): string | undefined {
  const network = hiddenNetworkOf(host);
  if (network === undefined) return undefined;
  const labels = host.split('.');
  if (network === 'onion') {
    return labels.length >= 2 && isOnionKey(labels.at(-2)!)
      ? undefined
      : 'it is no onion address of version 3 (56 letters and digits before .onion, with a checksum)';
  }
  return labels.length === 3 && labels[1] === 'b32' && isDestinationHash(labels[0]!)
    ? undefined
    : 'of I2P only addresses of the form ….b32.i2p can be used';
}

/**
 * The group of a host in Tor or I2P. Anybody can make any number of such addresses for nothing, but
 * they can't be told apart by where they are. The first 4 bits make 16 groups, as in Bitcoin Core
 * (NetGroupManager::GetGroup): one operator can have several groups, as it can have several /24s, and
 * a network that is all onions still fills its k-buckets.
 */
export function hiddenGroupOf(host: string, network: HiddenNetwork): string {
  const labels = host.toLowerCase().replace(/\.+$/, '').split('.');
  const key = labels.at(network === 'onion' ? -2 : 0) ?? '';
  return `${network}/${(BASE32.indexOf(key.charAt(0)) >> 1).toString(16)}`;
}

function isOnionKey(label: string): boolean {
  if (label.length !== 56) return false;
  const bytes = fromBase32(label);
  if (bytes === undefined || bytes[34] !== ONION_VERSION) return false;
  const checksum = sha3_256(concatBytes(ONION_CHECKSUM, bytes.subarray(0, 32), bytes.subarray(34)));
  return bytes[32] === checksum[0] && bytes[33] === checksum[1];
}

/** 256 bits of a destination, or 35 bytes and more of an encrypted one (I2P's "b33"). */
function isDestinationHash(label: string): boolean {
  if (label.length !== 52 && (label.length < 56 || label.length > 63)) return false;
  if (fromBase32(label) === undefined) return false;
  // 52 characters are 260 bits: the last 4 are none of the hash, and zero.
  return label.length !== 52 || /[aq]$/.test(label);
}

/** Bytes of base32 (RFC 4648, lower case, no padding); undefined when it is none. */
function fromBase32(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  let bits = 0;
  let value = 0;
  let at = 0;
  for (const character of text) {
    const digit = BASE32.indexOf(character);
    if (digit < 0) return undefined;
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = (value >> bits) & 0xff;
  }
  return bytes;
}
