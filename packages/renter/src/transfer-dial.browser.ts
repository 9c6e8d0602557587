// How farmers' transfers are reached from browsers: see transfer-dial.ts.
import {
  type MessageSocket,
  type NodeId,
  canDialSocket,
  parseAddress,
  systemClock,
} from '@granary/kad';
import { type DialTransfer, dialProved } from './transfer-socket.js';

/** Bytes that may wait in a socket before more is sent, and how far they go down before it is. */
const HIGH_WATER = 1024 * 1024;
const LOW_WATER = 512 * 1024;
/** Browsers do not tell when a socket has room again. In milliseconds. */
const LOOK_MS = 4;

/** Whether transfers can be had at an address: a farmer's listener for browsers. */
export function canDialTransfer(address: string): boolean {
  return canDialSocket(parseAddress(address));
}

/**
 * Open a WebSocket for transfers; whoever is at its other end is the farmer.
 *
 * @throws KadError as {@link dialProved} does.
 */
export function dialTransfer(
  farmer: NodeId,
  address: string,
  how: DialTransfer,
): Promise<MessageSocket> {
  return dialProved(farmer, parseAddress(address), how);
}

/** Send a message. Undefined when more may follow at once, else a promise of that moment. */
export function sendMessage(
  socket: MessageSocket,
  data: string | Uint8Array,
): Promise<void> | undefined {
  socket.send(data);
  return socket.bufferedAmount > HIGH_WATER ? hasRoom(socket) : undefined;
}

async function hasRoom(socket: MessageSocket): Promise<void> {
  // A socket that was closed keeps what it could not send.
  while (socket.bufferedAmount > LOW_WATER && socket.readyState === 1) {
    await new Promise<void>((resolve) => void systemClock.setTimeout(resolve, LOOK_MS));
  }
}
