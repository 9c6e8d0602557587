import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { type Clock, type Logger, TokenBucket, messageOf } from '@granary/kad';
import { Multiplexer } from './multiplexer.js';
import { RateGate } from './rate-gate.js';
import { relay } from './relay.js';
import { DocumentQueue } from './document-queue.js';
import type { Carried, TunnelAccounts, TunnelParty } from './tunnel-accounts.js';
import type { TunnelLimits } from './tunnel-limits.js';
import { type TunnelMessage, parseClientMessage } from './tunnel-messages.js';

/** What a {@link TunnelSession} is made of. */
export interface TunnelSessionOptions {
  readonly client: TunnelParty;
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
/** How long a client that is out of credit may take to pay; and how often that is looked at. */
const HOLD_MS = 30_000;
const LOOK_MS = 250;
/** The most bytes of one chunk: what is carried beyond a count before it is looked at. */
const CHUNK = 64 * 1024;
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
  private readonly meterBytes: number;
  private readonly documents = new DocumentQueue();
  /** While the client is out of credit: settled when it has paid. */
  private held:
    { readonly paid: Promise<void>; release(): void; readonly until: number } | undefined;
  private holdTimer: unknown;
  private meterTimer: unknown;
  private closing = false;
  private ended = false;
  private whenEnded: (() => void) | undefined;

  constructor(private readonly options: TunnelSessionOptions) {
    const { socket, limits, clock, id, port, accounts, client } = options;
    this.meterBytes = Math.min(limits.meterBytes, accounts?.meterBytes ?? Infinity);
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
    const { price, currency, payment } = accounts?.price ?? { price: '0', currency: 'credit' };
    this.say({ type: 'welcome', session: id, port, price, currency, payment });
    this.meterTimer = clock.setTimeout(() => this.meter(), METER_MS);
    for (const bill of accounts?.owing(client) ?? []) this.say({ type: 'bill', bill });
    this.look();
  }

  private get carried(): Carried {
    return { session: this.options.id, bytes: this.bytes };
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
    const { limits, clock } = this.options;
    let stream: Duplex;
    try {
      stream = this.mux.open();
    } catch {
      return void socket.destroy();
    }
    const { stallMs, idleMs } = limits;
    void relay(socket, stream, { clock, stallMs, idleMs, onBytes: (count) => this.pass(count) });
  }

  /** Count bytes that go through, when the client's credit is good for them. */
  private pass(count: number): number | Promise<number> {
    if (this.held !== undefined) return this.held.paid.then(() => this.pass(count));
    const { clock, onBytes } = this.options;
    const now = clock.now();
    this.bytes += count;
    if (this.bytes - this.told >= this.meterBytes) this.meter();
    return Math.max(this.gate.take(count, now), onBytes(count, now));
  }

  /** Tell the client what was carried, if anything was, and ask for pay. */
  private meter(): void {
    const { clock } = this.options;
    clock.clearTimeout(this.meterTimer);
    if (this.closing) return;
    this.meterTimer = clock.setTimeout(() => this.meter(), METER_MS);
    this.tell();
    this.look();
  }

  private tell(): void {
    if (this.bytes === this.told) return;
    this.told = this.bytes;
    this.say({ type: 'meter', bytes: this.bytes });
    const { accounts, client } = this.options;
    if (accounts === undefined) return;
    accounts.bill(client, this.carried).then(
      (bill) => this.say({ type: 'bill', bill }),
      (error: unknown) => this.refuse(error),
    );
  }

  /** Carry nothing more while the client's credit is not good for as much as it uses until the next look. */
  private look(): void {
    const { accounts, client, clock, logger } = this.options;
    if (accounts === undefined || this.closing) return;
    clock.clearTimeout(this.holdTimer);
    try {
      accounts.check(client, this.carried, this.meterBytes + CHUNK);
      this.held?.release();
      this.held = undefined;
    } catch (error) {
      const message = messageOf(error).slice(0, 512);
      if (this.held === undefined) {
        logger.info({ client: client.nodeId, message }, 'a client of the tunnel has to pay first');
        this.hold();
        this.say({ type: 'held', message });
        // What is not billed yet can't be paid.
        this.tell();
      } else if (clock.now() >= this.held.until) {
        return void this.close({ code: 'NAT_TUNNEL_UNPAID', message });
      }
      this.holdTimer = clock.setTimeout(() => this.look(), LOOK_MS);
    }
  }

  private hold(): void {
    let release!: () => void;
    const paid = new Promise<void>((resolve) => (release = resolve));
    this.held = { paid, release, until: this.options.clock.now() + HOLD_MS };
  }

  private onReceipt(receipt: unknown): void {
    const { accounts, client } = this.options;
    if (accounts === undefined) return;
    this.documents.add(async () => {
      try {
        this.say({ type: 'noted', receipt: await accounts.receipt(client, receipt) });
        if (this.held !== undefined) this.look();
      } catch (error) {
        this.refuse(error);
      }
    });
  }

  private refuse(error: unknown): void {
    const { client, logger } = this.options;
    const message = messageOf(error).slice(0, 512);
    logger.debug({ client: client.nodeId, error: message }, 'a client of the tunnel does not pay');
    void this.close({ code: 'NAT_TUNNEL_UNPAID', message });
  }

  /** Say why, and end. */
  async close(reason: { code: string; message: string }): Promise<void> {
    if (this.closing) return;
    const { clock } = this.options;
    this.closing = true;
    this.tell();
    this.say({ type: 'going', ...reason });
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
    const { accounts, client, clock, listener, onClose } = this.options;
    clock.clearTimeout(this.meterTimer);
    clock.clearTimeout(this.holdTimer);
    listener.close();
    for (const one of this.sockets) one.destroy();
    this.mux.close();
    this.whenEnded?.();
    accounts?.ended(client, this.carried);
    onClose();
  }
}
