import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { type Address, formatAddress } from './address.js';
import type { Dialer } from './dialer.js';
import { directDialer } from './direct-dialer.js';
import {
  type MessageSocket,
  type SocketDialer,
  type SocketProtocol,
  WEBSOCKET_PATH,
  WEBSOCKET_SUBPROTOCOL,
} from './message-socket.js';
import { dialTls, peerIdentityOf } from './tls.js';
import { MAX_FRAME_SIZE } from './websocket-frames.js';

const DHT: SocketProtocol = {
  path: WEBSOCKET_PATH,
  subprotocol: WEBSOCKET_SUBPROTOCOL,
  maxMessage: MAX_FRAME_SIZE,
};

/** Whether WebSockets to an address can be made here. */
export function canDialSocket({ scheme, host }: Address, dialer: Dialer = directDialer): boolean {
  return (scheme === 'wss' || scheme === 'ws') && dialer.dials(host);
}

/**
 * A WebSocket of `ws`. In `wss:` the certificate must either be bound to the node that is dialled,
 * or be of an authority that Node trusts and for the host that is dialled.
 */
export const dialSocket: SocketDialer = async (
  address,
  { expectedNodeId, credentials, dialer = directDialer, signal, timeoutMs, protocol = DHT },
) => {
  const { host, port } = address;
  let tls: TLSSocket | undefined;
  let stream: Duplex;
  if (address.scheme === 'wss') {
    tls = stream = await dialTls({
      host,
      port,
      dialer,
      ...(credentials !== undefined && { credentials }),
      ...(expectedNodeId !== undefined && { expectedNodeId }),
      authorities: true,
      signal,
      timeoutMs,
    });
  } else {
    stream = await dialer.dial(host, port, { signal, timeoutMs });
  }
  const socket = new WebSocket(`${formatAddress(address)}${protocol.path}`, protocol.subprotocol, {
    perMessageDeflate: false,
    maxPayload: protocol.maxMessage,
    handshakeTimeout: timeoutMs,
    followRedirects: false,
    createConnection: () => stream as Socket,
    ...(tls !== undefined && {
      // Inside TLS there is no proxy that masks protect (docs/decisions/0003).
      generateMask: (mask: Buffer) => void mask.fill(0),
    }),
  });
  socket.binaryType = 'nodebuffer';
  const peer = tls === undefined || tls.authorized ? undefined : peerIdentityOf(tls)?.nodeId;
  return {
    socket: socket as unknown as MessageSocket,
    remoteAddress: address.host,
    ...(peer !== undefined && { provedNodeId: peer }),
  };
};
