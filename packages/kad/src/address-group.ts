import { parseAddress } from './address.js';
import type { Contact } from './contact.js';
import { hiddenGroupOf, hiddenNetworkOf } from './hidden-host.js';

/**
 * The group of hosts that one operator most easily has: the /24 of an IPv4 address, the /48 of an
 * IPv6 address, the last two labels of a host name, one of 16 parts of Tor's or I2P's. Undefined for addresses that no stranger on the
 * Internet can use (loopback, link-local, private: RFC 1918, RFC 4193), since there a whole network
 * may be one prefix by right.
 */
export function addressGroup(host: string): string | undefined {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1] ?? host;
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.\d+$/.exec(mapped);
  if (v4 !== null) {
    const [a, b] = [Number(v4[1]), Number(v4[2])];
    const hidden =
      a === 127 ||
      a === 10 ||
      (a === 172 && b >= 16 && b < 32) ||
      (a === 192 && b === 168) ||
      (a === 169 && b === 254);
    return hidden ? undefined : `${v4[1]}.${v4[2]}.${v4[3]}`;
  }
  if (host.includes(':')) return groupOfV6(host.toLowerCase());
  if (host === 'localhost' || host.endsWith('.localhost')) return undefined;
  const hidden = hiddenNetworkOf(host);
  if (hidden !== undefined) return hiddenGroupOf(host, hidden);
  return host.toLowerCase().split('.').slice(-2).join('.');
}

function groupOfV6(host: string): string | undefined {
  const [head = '', tail] = host.replace(/%.*$/, '').split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  const parts = [...before, ...zeros, ...after].map((part) => parseInt(part, 16) || 0);
  const first = parts[0] ?? 0;
  const loopback = parts.slice(0, 7).every((part) => part === 0) && parts[7] === 1;
  if (loopback || (first & 0xfe00) === 0xfc00 || (first & 0xffc0) === 0xfe80) return undefined;
  return parts
    .slice(0, 3)
    .map((part) => part.toString(16))
    .join(':');
}

const none: readonly string[] = [];
const groups = new WeakMap<Contact, readonly string[]>();

/** The address groups of a contact, each once. Addresses that can't be read have none. */
export function groupsOf(contact: Contact): readonly string[] {
  const known = groups.get(contact);
  if (known !== undefined) return known;
  const found = new Set<string>();
  for (const address of contact.addresses) {
    try {
      const group = addressGroup(parseAddress(address).host);
      if (group !== undefined) found.add(group);
    } catch {
      // A contact from the network was parsed before; what is left is of no group.
    }
  }
  const made = found.size === 0 ? none : [...found];
  groups.set(contact, made);
  return made;
}

/** Whether a contact may join others when at most `limit` of one address group are to be together. */
export function hasRoomFor(
  contact: Contact,
  others: readonly { readonly contact: Contact }[],
  limit: number,
): boolean {
  if (others.length < limit) return true;
  for (const group of groupsOf(contact)) {
    let count = 0;
    for (const { contact: other } of others) {
      if (other.nodeId !== contact.nodeId && groupsOf(other).includes(group)) count += 1;
    }
    if (count >= limit) return false;
  }
  return true;
}
