import { type TLSSocket, connect } from 'node:tls';
import { WebSocket } from 'ws';
import { type Identity, createTlsCredentials, dialTls, directDialer } from '@granary/kad';
import { TRANSFER_PATH, TRANSFER_SUBPROTOCOL } from '@granary/protocol';
import type { Farmer } from './farmer.js';

/** A farmer's control frame as it came. */
export type Message = Record<string, unknown> & { type: string };

/** A renter's end of a transfer connection, that says exactly what a test wants. */
export class TransferClient {
  private readonly frames: (Message | Buffer)[] = [];
  private wake: () => void = () => undefined;
  /** The code that the socket was closed with; undefined while it is open. */
  closeCode: number | undefined;

  private constructor(
    readonly socket: WebSocket,
    readonly tls: TLSSocket,
  ) {
    socket.on('message', (data: Buffer, binary) => {
      this.frames.push(binary ? data : (JSON.parse(data.toString()) as Message));
      this.wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', (code) => {
      this.closeCode = code;
      this.wake();
    });
  }

  /** Connect as a node, with its certificate. */
  static async open(farmer: Farmer, as: Identity, opened: WebSocket[]): Promise<TransferClient> {
    const tls = await dialTls({
      dialer: directDialer,
      host: '127.0.0.1',
      port: portOf(farmer),
      credentials: await createTlsCredentials(as),
      expectedNodeId: farmer.contact.nodeId,
    });
    return TransferClient.over(farmer, tls, opened);
  }

  /** Connect as a browser does: without a certificate. */
  static async openBare(farmer: Farmer, opened: WebSocket[]): Promise<TransferClient> {
    const tls = connect({ host: '127.0.0.1', port: portOf(farmer), rejectUnauthorized: false });
    await new Promise((resolve, reject) => {
      tls.once('secureConnect', resolve);
      tls.once('error', reject);
    });
    return TransferClient.over(farmer, tls, opened);
  }

  private static async over(
    farmer: Farmer,
    tls: TLSSocket,
    opened: WebSocket[],
  ): Promise<TransferClient> {
    const url = `wss://127.0.0.1:${portOf(farmer)}${TRANSFER_PATH}`;
    const socket = new WebSocket(url, TRANSFER_SUBPROTOCOL, { createConnection: () => tls });
    opened.push(socket);
    const client = new TransferClient(socket, tls);
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    return client;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  sendBytes(bytes: Uint8Array, frame = 100_000): void {
    for (let at = 0; at < bytes.length; at += frame) {
      this.socket.send(bytes.subarray(at, at + frame));
    }
  }

  async next(): Promise<Message | Buffer> {
    while (this.frames.length === 0) {
      if (this.closeCode !== undefined) throw new Error(`closed with ${this.closeCode}`);
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    return this.frames.shift()!;
  }

  async answer(): Promise<Message> {
    const frame = await this.next();
    if (Buffer.isBuffer(frame)) throw new Error('bytes came');
    return frame;
  }

  async untilClosed(): Promise<number> {
    while (this.closeCode === undefined) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    return this.closeCode;
  }
}

/** The port of a farmer on loopback. */
export function portOf(farmer: Farmer): number {
  return Number(new URL(farmer.address).port);
}

/** Opens clients to the farmer of the moment, and notes their sockets for the clean-up. */
export function clientsOf(farmer: () => Farmer, renter: Identity, opened: WebSocket[]) {
  return {
    open: (as = renter) => TransferClient.open(farmer(), as, opened),
    openBare: () => TransferClient.openBare(farmer(), opened),
  };
}
