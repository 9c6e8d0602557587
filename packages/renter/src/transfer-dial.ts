// How farmers' transfers are reached from Node. `#renter/transfer-dial` in package.json chooses between
// this file and transfer-dial.browser.ts; both export the same names.
import {
  KadError,
  type LargeMessages,
  type MessageSocket,
  type NodeId,
  dialTls,
  directDialer,
  leadLargeMessages,
  parseAddress,
  sendLargeMessage,
} from '@granary/kad';
import { TRANSFER_PATH, TRANSFER_SUBPROTOCOL } from '@granary/protocol';
import { WebSocket } from 'ws';
import {
  type DialTransfer,
  MAX_MESSAGE,
  type TransferSocket,
  dialProved,
} from './transfer-socket.js';

/** Bytes that may wait in a socket before more is sent. */
const HIGH_WATER = 512 * 1024;

/**
 * Whether transfers can be had at an address: those of HTTPS servers, and the listeners for browsers, but
 * in the clear on this machine only.
 */
export function canDialTransfer(address: string): boolean {
  const { scheme, host } = parseAddress(address);
  if (scheme === 'webrtc') return false;
  return scheme !== 'ws' || host === 'localhost' || host === '::1' || /^127\./.test(host);
}

/**
 * Open a WebSocket for transfers; whoever is at its other end is the farmer.
 *
 * @throws KadError as `dialTls` and {@link dialProved} do.
 */
export async function dialTransfer(
  farmer: NodeId,
  address: string,
  how: DialTransfer,
): Promise<TransferSocket> {
  const parsed = parseAddress(address);
  if (parsed.scheme !== 'https') return dialProved(farmer, parsed, how);
  const { host, port } = parsed;
  const { credentials, dialer = directDialer, timeoutMs, signal } = how;
  /** Told of what comes, in memory that is used again. Whoever speaks before it is known who it is is not heard. */
  let read: (bytes: Buffer) => void = () => undefined;
  const tls = await dialTls({
    onRead: (bytes) => read(bytes),
    host,
    port,
    dialer,
    ...(credentials !== undefined && { credentials }),
    expectedNodeId: farmer,
    timeoutMs,
    ...(signal !== undefined && { signal }),
  });
  read = (bytes) => void tls.emit('data', Buffer.from(bytes));
  const name = host.includes(':') ? `[${host}]` : host;
  const socket = new WebSocket(`wss://${name}:${port}${TRANSFER_PATH}`, TRANSFER_SUBPROTOCOL, {
    createConnection: () => tls,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE,
    handshakeTimeout: timeoutMs,
    // A mask of zeros: masking protects plain-text proxies (RFC 6455, section 10.3), of which there
    // are none inside TLS, and costs a copy and a pass over every byte.
    generateMask: (mask) => mask.fill(0),
  });
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string, cause?: unknown) =>
        reject(new KadError('KAD_UNREACHABLE', why, { cause }));
      socket.once('open', resolve);
      socket.once('error', (error) => fail(error.message, error));
      socket.once('close', () => fail('it closed the connection'));
    });
  } catch (error) {
    tls.destroy();
    throw error;
  }
  return Object.assign(socket as unknown as MessageSocket, {
    leadLarge: (to: LargeMessages) => {
      read = leadLargeMessages(socket, tls, to);
    },
    sendBytes: (bytes: Uint8Array, done: () => void) =>
      sendLargeMessage(socket, tls, bytes, true, done),
  });
}

/** Send a message. Undefined when more may follow at once, else a promise of that moment. */
export function sendMessage(
  socket: TransferSocket,
  data: string | Uint8Array,
): Promise<void> | undefined {
  const webSocket = socket as unknown as WebSocket;
  const sent = new Promise<void>((resolve) => {
    const done = () => resolve();
    if (typeof data === 'string' || socket.sendBytes === undefined) webSocket.send(data, done);
    else socket.sendBytes(data, done);
  });
  return webSocket.bufferedAmount > HIGH_WATER ? sent : undefined;
}
