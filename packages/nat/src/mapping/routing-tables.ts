import { isIPv4 } from 'node:net';

/** The default gateway as a system's own tools tell it: text in, address out. */

/** `/proc/net/route` of Linux: the gateway of the default route with the lowest metric. */
export function gatewayOfProcRoute(text: string): string | undefined {
  let best: { address: string; metric: number } | undefined;
  for (const line of text.split('\n').slice(1)) {
    const [, destination, gateway, flags, , , metric, mask] = line.trim().split(/\s+/);
    const up = (parseInt(flags ?? '', 16) & 0x3) === 0x3;
    if (destination !== '00000000' || mask !== '00000000' || !up) continue;
    if (gateway === undefined || !/^[0-9A-F]{8}$/i.test(gateway)) continue;
    // Hexadecimal of a word in memory: bytes are swapped on the machines that Node runs on.
    const address = [6, 4, 2, 0].map((i) => parseInt(gateway.slice(i, i + 2), 16)).join('.');
    if (best === undefined || Number(metric) < best.metric) {
      best = { address, metric: Number(metric) };
    }
  }
  return best?.address;
}

/** `route -n get default` of macOS and the BSDs. */
export function gatewayOfRouteGet(text: string): string | undefined {
  const address = /^\s*gateway:\s*(\S+)\s*$/m.exec(text)?.[1];
  return address !== undefined && isIPv4(address) ? address : undefined;
}

/** `route print -4 0.0.0.0` of Windows: the gateway of the default route with the lowest metric. */
export function gatewayOfRoutePrint(text: string): string | undefined {
  let best: { address: string; metric: number } | undefined;
  for (const line of text.split(/\r?\n/)) {
    const [destination, mask, gateway = '', , metric] = line.trim().split(/\s+/);
    if (destination !== '0.0.0.0' || mask !== '0.0.0.0' || !isIPv4(gateway)) continue;
    const value = Number(metric);
    if (!Number.isFinite(value)) continue;
    if (best === undefined || value < best.metric) best = { address: gateway, metric: value };
  }
  return best?.address;
}
