import { isIP, isIPv4 } from 'node:net';
import { unmapped } from '../mapping/ipv4.js';

/**
 * An IP address in the one form in which two can be compared: IPv4 without `::ffff:`, IPv6 short and
 * in lower case, without a zone. Undefined when it is not an IP address.
 */
export function canonicalIp(text: string): string | undefined {
  const address = unmapped(text.replace(/%.*$/, ''));
  if (isIPv4(address)) return address;
  if (isIP(address) !== 6) return undefined;
  // What the WHATWG URL parser writes is canonical: RFC 5952.
  const written = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const hex = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(written);
  if (hex === null) return written;
  const [high, low] = [parseInt(hex[1]!, 16), parseInt(hex[2]!, 16)];
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

/**
 * Whether an address can be another machine's at all. Loopback, link-local (where clouds answer
 * questions about themselves), multicast, reserved and unspecified addresses can't.
 */
export function isOtherMachine(canonical: string): boolean {
  if (isIPv4(canonical)) {
    const [a = 0, b = 0] = canonical.split('.').map(Number);
    return a !== 0 && a !== 127 && a < 224 && !(a === 169 && b === 254);
  }
  return !/^(::1?$|fe[89ab]|ff)/.test(canonical);
}

/**
 * Ports at which a node may be dialled back: that of HTTPS, and those that need no privilege. Mail
 * and other old services are below; a TLS greeting to one of them would look like an attack.
 */
export function isNodePort(port: number): boolean {
  return port === 443 || port >= 1024;
}
