import {
  type Address,
  type Clock,
  type Dialer,
  type Identity,
  KadError,
  type LargeMessages,
  type MessageSocket,
  type NodeId,
  type Random,
  type SocketProtocol,
  type TlsCredentials,
  dialSocket,
  proveAsDialer,
} from '@granary/kad';
import {
  MAX_CONTROL_FRAME,
  MAX_DATA_FRAME,
  TRANSFER_PATH,
  TRANSFER_PROVED_SUBPROTOCOL,
} from '@granary/protocol';

/** Who dials, and in which way. */
export interface DialTransfer {
  readonly identity: Identity;
  /** To show in TLS, where this side has a say in it. */
  readonly credentials?: TlsCredentials;
  /** Not given in browsers, which have a way of their own. */
  readonly dialer?: Dialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** A connection to a farmer. */
export interface TransferSocket extends MessageSocket {
  /** Have large messages go where they are needed as they come, where that can be; before anything has come. */
  leadLarge?(to: LargeMessages): void;
  /** Send bytes without a copy of them being made, where that can be. @param done - called when they went out */
  sendBytes?(bytes: Uint8Array, done: () => void): void;
}

/** The most bytes that a farmer sends in one message. */
export const MAX_MESSAGE = Math.max(MAX_DATA_FRAME, MAX_CONTROL_FRAME, 2 * 1024 * 1024);

const PROTOCOL: SocketProtocol = {
  path: TRANSFER_PATH,
  subprotocol: TRANSFER_PROVED_SUBPROTOCOL,
  maxMessage: MAX_MESSAGE,
};

/**
 * Open a WebSocket to a farmer's listener for browsers, and have both sides prove who they are (decision
 * 0009), which TLS does not do there.
 *
 * @throws KadError KAD_UNREACHABLE, KAD_IDENTITY_MISMATCH, KAD_TIMEOUT, KAD_MALFORMED or KAD_ABORTED.
 */
export async function dialProved(
  farmer: NodeId,
  address: Address,
  { identity, credentials, dialer, clock, random, timeoutMs, signal }: DialTransfer,
): Promise<MessageSocket> {
  const stop = signal ?? new AbortController().signal;
  const { socket } = await dialSocket(address, {
    expectedNodeId: farmer,
    ...(credentials !== undefined && { credentials }),
    ...(dialer !== undefined && { dialer }),
    signal: stop,
    timeoutMs,
    protocol: PROTOCOL,
  });
  const where = `farmer ${farmer} at ${address.host}:${address.port}`;
  let timer: unknown;
  let onAbort: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (code: 'KAD_UNREACHABLE' | 'KAD_TIMEOUT' | 'KAD_ABORTED', why: string) =>
        reject(new KadError(code, `${where}: ${why}`));
      timer = clock.setTimeout(() => fail('KAD_TIMEOUT', 'it did not prove who it is'), timeoutMs);
      onAbort = () => fail('KAD_ABORTED', 'the call was aborted');
      stop.addEventListener('abort', onAbort, { once: true });
      if (stop.aborted) onAbort();
      socket.onerror = () => undefined; // a close follows
      socket.onclose = () => fail('KAD_UNREACHABLE', 'the connection was closed');
      const proof = proveAsDialer(identity, random, farmer, 'transfer');
      let answered = false;
      socket.onmessage = ({ data }) => {
        try {
          const bytes = bytesOf(data);
          if (bytes === undefined) throw new KadError('KAD_MALFORMED', `${where}: it sent text`);
          if (answered) {
            proof.check(bytes);
            resolve();
          } else {
            socket.send(proof.answer(bytes));
            answered = true;
          }
        } catch (error) {
          reject(error as Error);
        }
      };
    });
    return socket;
  } catch (error) {
    endSocket(socket);
    throw error;
  } finally {
    clock.clearTimeout(timer);
    if (onAbort !== undefined) stop.removeEventListener('abort', onAbort);
  }
}

/** The bytes of a message; undefined when it is text. */
export function bytesOf(data: unknown): Uint8Array | undefined {
  if (data instanceof Uint8Array) return data;
  return data instanceof ArrayBuffer ? new Uint8Array(data) : undefined;
}

/** End a WebSocket, at once where that can be. */
export function endSocket(socket: MessageSocket): void {
  if (socket.terminate !== undefined) socket.terminate();
  else socket.close();
}
