import { type Address, formatAddress } from './address.js';
import type { Dialer } from './dialer.js';
import { KadError, messageOf } from './errors.js';
import {
  type MessageSocket,
  type SocketDialer,
  WEBSOCKET_PATH,
  WEBSOCKET_SUBPROTOCOL,
} from './message-socket.js';
import { canDialWebRtc, dialWebRtc } from './webrtc-dial.browser.js';
import { MAX_FRAME_SIZE } from './websocket-frames.js';

type WebSocketConstructor = new (url: string, protocol: string) => MessageSocket;

/**
 * Whether WebSockets to an address can be made here. A page that came over HTTPS may open `ws:`
 * addresses of its own machine only (W3C Secure Contexts, section 3.1). A page has no other way than the
 * browser's: where another is asked for, it dials nothing.
 */
export function canDialSocket({ scheme, host }: Address, dialer?: Dialer): boolean {
  if (dialer !== undefined) return false;
  if (scheme === 'webrtc') return canDialWebRtc();
  if (scheme !== 'ws') return scheme === 'wss';
  const { location } = globalThis as { location?: { readonly protocol: string } };
  if (location?.protocol !== 'https:') return true;
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * The browser's own WebSocket, or data channel. In `wss:` the browser checks the certificate, which must be of an
 * authority that it trusts; it says nothing of why a connection failed.
 */
export const dialSocket: SocketDialer = async (address, { dialer, protocol }) => {
  if (dialer !== undefined) {
    throw new KadError('KAD_BAD_ADDRESS', 'a browser dials in its own way only');
  }
  if (address.scheme === 'webrtc') {
    const maxMessage = protocol?.maxMessage ?? MAX_FRAME_SIZE;
    const socket = dialWebRtc(address, protocol?.path ?? WEBSOCKET_PATH, maxMessage);
    return { socket, remoteAddress: address.host };
  }
  const { WebSocket } = globalThis as unknown as { WebSocket?: WebSocketConstructor };
  if (WebSocket === undefined) {
    throw new KadError('KAD_UNREACHABLE', 'there are no WebSockets here');
  }
  try {
    const socket = new WebSocket(
      `${formatAddress(address)}${protocol?.path ?? WEBSOCKET_PATH}`,
      protocol?.subprotocol ?? WEBSOCKET_SUBPROTOCOL,
    );
    socket.binaryType = 'arraybuffer';
    return { socket, remoteAddress: address.host };
  } catch (error) {
    throw new KadError('KAD_UNREACHABLE', `${formatAddress(address)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
};
