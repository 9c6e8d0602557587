import { isIPv4 } from 'node:net';

/** The four bytes of a dotted IPv4 address. The caller knows that it is one. */
export function bytesOfIpv4(address: string): Uint8Array {
  return Uint8Array.from(address.split('.'), Number);
}

/** Four bytes, from `offset` on, as a dotted IPv4 address. */
export function ipv4Of(bytes: Uint8Array, offset = 0): string {
  return bytes.subarray(offset, offset + 4).join('.');
}

/** The address without the `::ffff:` that IPv4 has on a socket of both families. */
export function unmapped(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/**
 * Whether hosts on the Internet could use this IPv4 address as a destination: it is not private (RFC
 * 1918), shared by a carrier's customers (RFC 6598), loopback, link-local, multicast, reserved or
 * "this network". Ranges for documentation and benchmarks count as public: no router has them by
 * mistake, and laboratories use them in the place of public ones.
 */
export function isPublicIpv4(address: string): boolean {
  if (!isIPv4(address)) return false;
  const [a = 0, b = 0, c = 0] = bytesOfIpv4(address);
  return !(
    a === 0 ||
    a === 10 ||
    a === 127 ||
    a >= 224 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 192 && b === 0 && c === 0)
  );
}

/** Whether the address is one that carriers give to customers whom they put behind NAT (RFC 6598). */
export function isCarrierIpv4(address: string): boolean {
  if (!isIPv4(address)) return false;
  const [a = 0, b = 0] = bytesOfIpv4(address);
  return a === 100 && b >= 64 && b < 128;
}
