import { formatAddress } from './address.js';
import { KadError, messageOf } from './errors.js';
import {
  type MessageSocket,
  type SocketDialer,
  WEBSOCKET_PATH,
  WEBSOCKET_SUBPROTOCOL,
} from './message-socket.js';

type WebSocketConstructor = new (url: string, protocol: string) => MessageSocket;

/**
 * The browser's own WebSocket. In `wss:` the browser checks the certificate, which must be of an
 * authority that it trusts; it says nothing of why a connection failed.
 */
export const dialSocket: SocketDialer = async (address) => {
  const { WebSocket } = globalThis as unknown as { WebSocket?: WebSocketConstructor };
  if (WebSocket === undefined) {
    throw new KadError('KAD_UNREACHABLE', 'there are no WebSockets here');
  }
  try {
    const socket = new WebSocket(
      `${formatAddress(address)}${WEBSOCKET_PATH}`,
      WEBSOCKET_SUBPROTOCOL,
    );
    socket.binaryType = 'arraybuffer';
    return { socket, remoteAddress: address.host };
  } catch (error) {
    // A page that came over HTTPS may not open ws: addresses other than this machine's.
    throw new KadError('KAD_UNREACHABLE', `${formatAddress(address)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
};
