import { type Socket as UdpSocket, createSocket } from 'node:dgram';
import * as http from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import type { Gateway, MapRequest, MappingEnvironment } from './mapping.js';

/** On loopback, the router of the tests. */
export const ROUTER = '127.0.0.1';
/** On loopback, somebody else on the same network. */
export const STRANGER = '127.0.0.2';

/** A UDP server that answers each datagram as it is told to. */
export async function udpServer(
  answer: (message: Buffer, reply: (bytes: Uint8Array) => void) => void,
  address = ROUTER,
  port = 0,
): Promise<{ port: number; socket: UdpSocket; close(): Promise<void> }> {
  const socket = createSocket('udp4');
  socket.on('message', (message, from) =>
    answer(message, (bytes) => socket.send(bytes, from.port, from.address)),
  );
  await new Promise<void>((resolve) => socket.bind({ address, port }, resolve));
  return {
    port: socket.address().port,
    socket,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** An HTTP server that answers each request as it is told to. */
export async function httpServer(
  answer: (request: http.IncomingMessage, response: http.ServerResponse, body: string) => void,
  address = ROUTER,
): Promise<{ port: number; url: URL; close(): Promise<void> }> {
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => answer(request, response, body));
    response.on('error', () => undefined);
  });
  return listening(server, address);
}

/** A server that does as it likes with each connection. */
export async function listening(
  server: Server,
  address = ROUTER,
): Promise<{ port: number; url: URL; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: new URL(`http://${address}:${port}/root.xml`),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** What clients work with in tests: real time and chance. */
export function environment(ports: MappingEnvironment['ports'] = {}): MappingEnvironment {
  return { clock: systemClock, random: systemRandom, logger: silentLogger, ports };
}

export const gateway: Gateway = { address: ROUTER, localAddress: '127.0.0.1' };

export const nonce = Uint8Array.from({ length: 12 }, (_, i) => i + 1);

export function request(overrides: Partial<MapRequest> = {}): MapRequest {
  return {
    internalPort: 4600,
    externalPort: 40_000,
    lifetimeSeconds: 3600,
    nonce,
    tag: 'granary test',
    signal: new AbortController().signal,
    ...overrides,
  };
}

/** A description of a router with one service that maps ports. */
export function description({
  type = 'urn:schemas-upnp-org:service:WANIPConnection:1',
  control = '/control',
}: { type?: string; control?: string } = {}): string {
  return `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
    <deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList><device>
    <deviceList><device><serviceList><service><serviceType>${type}</serviceType>
    <controlURL>${control}</controlURL></service></serviceList></device></deviceList>
    </device></deviceList></device></root>`;
}

/** An answer to a search. */
export function searchAnswer(location: string): Buffer {
  return Buffer.from(
    'HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\n' +
      'ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n' +
      `LOCATION: ${location}\r\nUSN: uuid:x\r\n\r\n`,
  );
}

/** A SOAP answer. */
export function soap(action: string, results: Readonly<Record<string, string | number>> = {}) {
  const inner = Object.entries(results)
    .map(([name, value]) => `<${name}>${value}</${name}>`)
    .join('');
  return `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
    <u:${action}Response xmlns:u="urn:x">${inner}</u:${action}Response></s:Body></s:Envelope>`;
}

/** A SOAP fault of UPnP's. */
export function fault(code: number, description = 'no'): string {
  return `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>
    <faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>
    <UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>${code}</errorCode>
    <errorDescription>${description}</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`;
}
