import { createSocket } from 'node:dgram';
import { messageOf } from '@granary/kad';
import { NatError } from '../errors.js';
import { gatewayUrl } from './gateway-http.js';
import type { Gateway, MappingEnvironment } from './mapping.js';

/** Where devices listen for searches: UPnP Device Architecture 2.0 section 1.3.2. */
const GROUP = '239.255.255.250';
const SSDP_PORT = 1900;
/** What is searched for: gateways of both versions, and the services of those that hide themselves. */
const TARGETS = [
  'urn:schemas-upnp-org:device:InternetGatewayDevice:2',
  'urn:schemas-upnp-org:device:InternetGatewayDevice:1',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
];
const MAX_DATAGRAM = 2_048;
/** Datagrams that are looked at, whoever sends them. */
const MAX_DATAGRAMS = 256;
const ROUNDS = 2;
const ROUND_MS = 1_200;

/**
 * Where the description of the router is. Others on the network may answer a search, too; only what
 * comes from the router's own address, and leads back to it, is looked at.
 *
 * @throws NatError NAT_NO_ANSWER; NAT_BAD_ANSWER when the router sends us elsewhere; NAT_ABORTED.
 */
export function findDescription(
  gateway: Gateway,
  { clock, ports }: MappingEnvironment,
  signal: AbortSignal,
): Promise<URL> {
  const port = ports?.ssdp ?? SSDP_PORT;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const socket = createSocket('udp4');
    let timer: unknown;
    let seen = 0;
    let rounds = 0;
    let over = false;
    let complaint: unknown;
    const finish = (settle: () => void) => {
      if (over) return;
      over = true;
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.close();
      settle();
    };
    const fail = (error: unknown) => finish(() => reject(error as Error));
    const onAbort = () => fail(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const giveUp = () =>
      fail(
        complaint ??
          new NatError(
            'NAT_NO_ANSWER',
            `UPnP: the router (${gateway.address}) does not answer a search`,
          ),
      );
    socket.on('error', (error) =>
      fail(new NatError('NAT_NO_ANSWER', `UPnP: the search failed: ${messageOf(error)}`)),
    );
    socket.on('message', (message, from) => {
      seen += 1;
      if (seen > MAX_DATAGRAMS) return giveUp();
      if (from.address !== gateway.address || message.length > MAX_DATAGRAM) return;
      const location = locationOf(message.toString('latin1'));
      if (location === undefined) return;
      try {
        const url = gatewayUrl(location, undefined, gateway.address);
        finish(() => resolve(url));
      } catch (error) {
        complaint = error;
      }
    });
    const search = () => {
      if (rounds >= ROUNDS) return giveUp();
      rounds += 1;
      for (const target of TARGETS) {
        for (const to of [GROUP, gateway.address]) {
          // No way for multicast, or nothing listening there, says nothing about the other one.
          socket.send(searchFor(target, `${to}:${port}`), port, to, () => undefined);
        }
      }
      timer = clock.setTimeout(search, ROUND_MS);
    };
    socket.bind({ address: gateway.localAddress }, () => {
      try {
        socket.setMulticastInterface(gateway.localAddress);
        socket.setMulticastTTL(2);
      } catch {
        // The router is asked on its own address as well.
      }
      search();
    });
  });
}

function searchFor(target: string, host: string): string {
  return [
    'M-SEARCH * HTTP/1.1',
    `HOST: ${host}`,
    'MAN: "ssdp:discover"',
    'MX: 1',
    `ST: ${target}`,
    '',
    '',
  ].join('\r\n');
}

/** The LOCATION of an answer to a search for a gateway; undefined when it is something else. */
export function locationOf(message: string): string | undefined {
  const [status = '', ...lines] = message.split('\r\n');
  if (!/^HTTP\/1\.[01] 200\b/.test(status)) return undefined;
  const header = (name: string) =>
    lines
      .find((line) => line.slice(0, name.length + 1).toLowerCase() === `${name}:`)
      ?.slice(name.length + 1)
      .trim();
  const target = header('st') ?? '';
  if (!/:(InternetGatewayDevice|WANIPConnection|WANPPPConnection):\d$/.test(target)) {
    return undefined;
  }
  const location = header('location');
  return location === undefined || location.length > 512 ? undefined : location;
}
