import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { type Clock, type Logger, TokenBucket, messageOf } from '@granary/kad';
import { Multiplexer } from './multiplexer.js';
import { RateGate } from './rate-gate.js';
import { relay } from './relay.js';
import type { Carried, TunnelAccounts, TunnelClient } from './tunnel-accounts.js';
import type { TunnelLimits } from './tunnel-limits.js';
import { type TunnelMessage, parseClientMessage } from './tunnel-messages.js';

/** What a {@link TunnelSession} is made of. */
export interface TunnelSessionOptions {
  readonly client: TunnelClient;
  /** The client's connection. */
  readonly socket: WebSocket;
  /** Where strangers come for this client. */
  readonly listener: Server;
  readonly port: number;
  /** Names the session in receipts. */
  readonly id: string;
  readonly limits: TunnelLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Counts of all sessions together. */
  readonly total: { connections: number; refused: number };
  readonly accounts?: TunnelAccounts;
  /** Counts bytes for all clients together: the milliseconds to wait. */
  onBytes(count: number, now: number): number;
  onClose(): void;
}

const METER_MS = 60_000;
/** How long a client may take to hear that we go. */
const GOODBYE_MS = 500;
/** The first byte of a TLS handshake record (RFC 8446, section 5.1). */
const TLS_HANDSHAKE = 0x16;
const TLS_MAJOR = 0x03;

/** A tunnel's side of one client: strangers come in at its port, and go out as streams to it. */
export class TunnelSession {
  private readonly mux: Multiplexer;
  private readonly gate: RateGate;
  private readonly arrivals: TokenBucket;
  private readonly sockets = new Set<Socket>();
  private readonly perAddress = new Map<string, number>();
  private bytes = 0;
  private told = 0;
  private signed = 0;
  private meterTimer: unknown;
  private closing = false;
  private ended = false;
  private whenEnded: (() => void) | undefined;

  constructor(private readonly options: TunnelSessionOptions) {
    const { socket, limits, clock, id, port } = options;
    const now = clock.now();
    this.gate = new RateGate(limits.bytesPerSecondEach, limits.bytesPerSecondEach, now);
    const { newPerSecond } = limits;
    this.arrivals = new TokenBucket({ perSecond: newPerSecond, burst: 4 * newPerSecond }, now);
    this.mux = new Multiplexer(socket, true, {
      clock,
      maxStreams: limits.connectionsPerClient,
      pingMs: limits.pingMs,
      pongMs: limits.pongMs,
      onText: (text) => this.onReceipt(parseClientMessage(text).receipt),
      onClose: (reason) => {
        options.logger.debug({ client: options.client.nodeId, reason: reason.message }, 'a tunnel');
        this.end();
      },
    });
    const { price, currency } = this.price;
    this.say({ type: 'welcome', session: id, port, price, currency });
    this.meterTimer = clock.setTimeout(() => this.meter(), METER_MS);
  }

  private get price(): { price: string; currency: string } {
    const { accounts } = this.options;
    return { price: accounts?.price ?? '0', currency: accounts?.currency ?? 'credit' };
  }

  /** Take a stranger's connection to the client. */
  connect(socket: Socket): void {
    const { limits, clock, total } = this.options;
    const address = socket.remoteAddress ?? '';
    const same = this.perAddress.get(address) ?? 0;
    socket.on('error', () => socket.destroy());
    if (
      this.closing ||
      this.sockets.size >= limits.connectionsPerClient ||
      same >= limits.connectionsPerAddress ||
      total.connections >= limits.connections ||
      !this.arrivals.take(clock.now())
    ) {
      total.refused += 1;
      socket.resetAndDestroy();
      return;
    }
    total.connections += 1;
    this.sockets.add(socket);
    this.perAddress.set(address, same + 1);
    const timer = clock.setTimeout(() => socket.destroy(), limits.firstBytesMs);
    socket.once('close', () => {
      clock.clearTimeout(timer);
      total.connections -= 1;
      this.sockets.delete(socket);
      const left = (this.perAddress.get(address) ?? 1) - 1;
      if (left > 0) this.perAddress.set(address, left);
      else this.perAddress.delete(address);
    });
    socket.once('readable', () => {
      clock.clearTimeout(timer);
      // Nothing but TLS goes through, so that a tunnel is of no use to other trades.
      const first = socket.read() as Buffer | null;
      if (first === null) return void socket.destroy();
      if (first[0] !== TLS_HANDSHAKE || (first.length > 1 && first[1] !== TLS_MAJOR)) {
        total.refused += 1;
        return void socket.destroy();
      }
      socket.unshift(first);
      this.open(socket);
    });
  }

  private open(socket: Socket): void {
    const { limits, clock, onBytes } = this.options;
    let stream: Duplex;
    try {
      stream = this.mux.open();
    } catch {
      return void socket.destroy();
    }
    const { stallMs, idleMs } = limits;
    void relay(socket, stream, {
      clock,
      stallMs,
      idleMs,
      onBytes: (count) => {
        const now = clock.now();
        this.bytes += count;
        if (this.bytes - this.told >= limits.meterBytes) this.meter();
        return Math.max(this.gate.take(count, now), onBytes(count, now));
      },
    });
  }

  /** Tell the client what was carried, if anything was, and ask for pay. */
  private meter(): void {
    const { clock, accounts, client } = this.options;
    clock.clearTimeout(this.meterTimer);
    if (this.closing) return;
    this.meterTimer = clock.setTimeout(() => this.meter(), METER_MS);
    if (this.bytes > this.told) {
      this.told = this.bytes;
      this.say({ type: 'meter', bytes: this.bytes });
    }
    try {
      accounts?.check(client, this.bytes - this.signed);
    } catch (error) {
      const message = messageOf(error).slice(0, 512);
      void this.close({ code: 'NAT_TUNNEL_UNPAID', message });
    }
  }

  private onReceipt(receipt: unknown): void {
    const { accounts, client, id, logger } = this.options;
    if (accounts === undefined) return;
    const carried: Carried = { session: id, bytes: this.told, ...this.price };
    accounts.receipt(client, carried, receipt).then(
      (bytes) => (this.signed = Math.max(this.signed, bytes)),
      (error: unknown) => {
        logger.debug({ client: client.nodeId, error: messageOf(error) }, 'a receipt was refused');
        const message = messageOf(error).slice(0, 512);
        void this.close({ code: 'NAT_TUNNEL_UNPAID', message });
      },
    );
  }

  /** Say why, and end. */
  async close(reason: { code: string; message: string }): Promise<void> {
    if (this.closing) return;
    const { clock } = this.options;
    if (this.bytes > this.told) this.say({ type: 'meter', bytes: this.bytes });
    this.say({ type: 'going', ...reason });
    this.closing = true;
    this.options.listener.close();
    await new Promise<void>((resolve) => {
      const timer = clock.setTimeout(resolve, GOODBYE_MS);
      this.whenEnded = () => {
        clock.clearTimeout(timer);
        resolve();
      };
    });
    this.end();
  }

  private say(message: TunnelMessage): void {
    this.mux.say(message);
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    this.closing = true;
    const { clock, listener, onClose } = this.options;
    clock.clearTimeout(this.meterTimer);
    listener.close();
    for (const one of this.sockets) one.destroy();
    this.mux.close();
    this.whenEnded?.();
    onClose();
  }
}
