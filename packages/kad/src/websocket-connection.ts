import { fromUtf8, utf8 } from './bytes.js';
import type { Clock } from './clock.js';
import { MAX_MESSAGE_SIZE } from './envelope.js';
import { KadError, messageOf } from './errors.js';
import type { Identity } from './identity.js';
import type { Logger } from './logger.js';
import type { MadeSocket, MessageSocket } from './message-socket.js';
import type { NodeId } from './node-id.js';
import type { Random } from './random.js';
import { type MessageHandler, refusalError, refusalOf } from './transport.js';
import { FrameType, encodeFrame, parseFrame } from './websocket-frames.js';
import {
  type Introduction,
  type Role,
  checkProof,
  encodeAnswer,
  encodeIntroduction,
  introduce,
  parseAnswer,
  parseIntroduction,
  prove,
} from './websocket-handshake.js';
import type { WebSocketLimits } from './websocket-limits.js';

/** Why a side closes: codes of our own (RFC 6455, section 7.4.2); browsers send no others. */
export const CloseCode = {
  /** Unused for long; what came in after it was not looked at. */
  idle: 4000,
  /** Newer connections of the same peer took its place. */
  replaced: 4001,
  /** The side that closes stops. */
  goingAway: 4002,
  /** The other side broke the protocol. */
  protocol: 4400,
  /** The other side is not who it should be. */
  identity: 4401,
  timeout: 4408,
  tooLarge: 4413,
  /** There are too many connections already. */
  tryAgainLater: 4429,
} as const;

const EMPTY = new Uint8Array(0);
/** Questions that we gave up and whose answers may still come, remembered for each connection. */
const MAX_ABANDONED = 1024;
/** How often to look whether a slow peer has taken what waits for it, in milliseconds. */
const DRAIN_POLL_MS = 25;
/** How long a peer may take to close its side, in milliseconds. */
const CLOSE_MS = 1_000;

/** The connection was closed for want of use just when a question went out. It was not looked at. */
export class UnusedConnectionError extends KadError {}

/** What all connections of a transport share. */
export interface ConnectionContext {
  readonly identity: Identity;
  readonly limits: WebSocketLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Answers messages; undefined while the transport does not listen. */
  handler(): MessageHandler | undefined;
  /** Bytes of questions in work on all connections. */
  readonly work: { bytes: number };
  /** Bytes waiting to be sent on all connections. */
  buffered(): number;
  /** Both sides have proved who they are. */
  onReady(connection: WebSocketConnection): void;
  onClosed(connection: WebSocketConnection): void;
}

interface Call {
  readonly message: Uint8Array;
  /** Undefined while it waits. */
  id: number | undefined;
  sentAt: number;
  settle(error: Error | undefined, answer?: Uint8Array): void;
}

/**
 * One WebSocket with one peer: both sides prove who they are, and then both may ask, with many
 * questions under way at one time.
 */
export class WebSocketConnection {
  /** The peer's ID once both sides have proved who they are; rejects when that does not come about. */
  readonly ready: Promise<NodeId>;
  /** The peer's ID; undefined before it is proved. */
  peer: NodeId | undefined;
  /** When a message last went over it, milliseconds since the epoch. */
  lastUsed: number;
  private readonly socket: MessageSocket;
  private readonly us: Introduction;
  private them: Introduction | undefined;
  private readonly pending = new Map<number, Call>();
  private readonly queue = new Set<Call>();
  private readonly abandoned = new Set<number>();
  private nextId = 1;
  private inWork = 0;
  private idleFrames = 0;
  private lastFrame: number;
  private failure: KadError | undefined;
  private socketError: string | undefined;
  private helloTimer: unknown;
  private tickTimer: unknown;
  private probeTimer: unknown;
  private drainTimer: unknown;
  private closeTimer: unknown;
  private stalledSince: number | undefined;
  private settleReady!: (error: Error | undefined, peer?: NodeId) => void;
  private markClosed!: () => void;
  /** Resolves when the socket is gone. */
  readonly closed: Promise<void>;

  constructor(
    private readonly made: MadeSocket,
    readonly role: Role,
    private readonly context: ConnectionContext,
    private readonly expectedNodeId?: NodeId,
  ) {
    const { clock, identity, limits, random } = context;
    this.socket = made.socket;
    this.us = introduce(identity, random);
    this.lastUsed = clock.now();
    this.lastFrame = this.lastUsed;
    this.ready = new Promise((resolve, reject) => {
      this.settleReady = (error, peer) => (error === undefined ? resolve(peer!) : reject(error));
    });
    // Whoever waits for it sees why; nobody has to.
    this.ready.catch(() => undefined);
    this.closed = new Promise((resolve) => (this.markClosed = resolve));
    this.helloTimer = clock.setTimeout(
      () =>
        this.fail(
          new KadError('KAD_TIMEOUT', `${made.remoteAddress} did not say who it is`),
          CloseCode.timeout,
        ),
      limits.helloMs,
    );
    this.socket.onmessage = ({ data }) => this.receive(data);
    this.socket.onerror = ({ message }) => (this.socketError ??= message);
    this.socket.onclose = ({ code, reason }) => this.onSocketClosed(code, reason);
    if (role === 'acceptor') this.send(FrameType.challenge, 0, encodeIntroduction(this.us));
  }

  /** Whether it can carry messages. */
  get open(): boolean {
    return this.peer !== undefined && this.failure === undefined;
  }

  /** Whether it is closed, or about to be. */
  get failed(): boolean {
    return this.failure !== undefined;
  }

  /** Whether nothing is under way on it. */
  get unused(): boolean {
    return this.pending.size === 0 && this.queue.size === 0 && this.inWork === 0;
  }

  /** Bytes waiting to be sent. */
  get buffered(): number {
    return this.socket.bufferedAmount;
  }

  /**
   * Ask the peer.
   *
   * @throws KadError KAD_UNREACHABLE, KAD_TIMEOUT, KAD_ABORTED, KAD_REMOTE, KAD_TOO_LARGE, KAD_BUSY.
   */
  request(
    message: Uint8Array,
    { signal, timeoutMs }: { readonly signal?: AbortSignal; readonly timeoutMs: number },
  ): Promise<Uint8Array> {
    const { clock, limits } = this.context;
    return new Promise((resolve, reject) => {
      if (this.failure !== undefined) return reject(this.failure);
      if (this.queue.size >= limits.maxQueued) {
        return reject(
          new KadError('KAD_BUSY', `too many messages wait for ${this.peer}: try again later`),
        );
      }
      this.lastUsed = clock.now();
      const settle = (error: Error | undefined, answer?: Uint8Array) => {
        clock.clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.queue.delete(call);
        if (call.id !== undefined) this.pending.delete(call.id);
        if (error === undefined) resolve(answer!);
        else reject(error);
        this.pump();
      };
      const giveUp = (error: KadError) => {
        if (call.id !== undefined) this.abandon(call.id);
        settle(error);
      };
      const call: Call = { message, id: undefined, sentAt: 0, settle };
      const onAbort = () =>
        giveUp(new KadError('KAD_ABORTED', 'the call was aborted', { cause: signal?.reason }));
      const timer = clock.setTimeout(() => {
        const quiet = call.id !== undefined && this.lastFrame < call.sentAt;
        giveUp(
          new KadError(
            'KAD_TIMEOUT',
            `${this.made.remoteAddress} did not answer in ${timeoutMs} ms`,
          ),
        );
        if (quiet) this.probe();
      }, timeoutMs);
      if (signal?.aborted === true) return onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      this.queue.add(call);
      this.pump();
    });
  }

  /** Close it in good order. What is under way fails with the error. */
  close(code: number, error: KadError): void {
    this.fail(error, code);
  }

  /** End it at once. */
  terminate(): void {
    this.fail(new KadError('KAD_UNREACHABLE', 'the connection was ended'), CloseCode.goingAway);
    this.socket.terminate?.();
  }

  /** Send what waits, as far as the limits let it. */
  private pump(): void {
    const { clock, limits } = this.context;
    if (this.peer === undefined || this.failure !== undefined) return;
    for (const call of this.queue) {
      if (this.pending.size >= limits.maxInFlight) return;
      if (this.socket.bufferedAmount > limits.maxBuffered) {
        this.waitForDrain();
        return;
      }
      this.queue.delete(call);
      call.id = this.takeId();
      call.sentAt = clock.now();
      this.pending.set(call.id, call);
      this.send(FrameType.request, call.id, call.message);
    }
  }

  private takeId(): number {
    const id = this.nextId;
    this.nextId = id === 0xffffffff ? 1 : id + 1;
    return id;
  }

  private abandon(id: number): void {
    this.abandoned.add(id);
    if (this.abandoned.size > MAX_ABANDONED) {
      this.abandoned.delete(this.abandoned.values().next().value!);
    }
  }

  private send(type: FrameType, id: number, body: Uint8Array): void {
    if (this.failure !== undefined) return;
    try {
      this.socket.send(encodeFrame(type, id, body));
    } catch (error) {
      this.fail(new KadError('KAD_UNREACHABLE', messageOf(error)), CloseCode.goingAway);
      return;
    }
    if (this.socket.bufferedAmount > this.context.limits.maxBuffered) this.onSlowPeer();
  }

  /** The peer takes more slowly than we send: read no more of it until it has caught up. */
  private onSlowPeer(): void {
    const { limits } = this.context;
    const hard = limits.maxBuffered + (limits.maxInFlight / 2) * MAX_MESSAGE_SIZE;
    if (this.socket.bufferedAmount > hard || this.context.buffered() > limits.maxTotalBuffered) {
      this.cutOff(new KadError('KAD_UNREACHABLE', 'the peer does not take what it is sent'));
      return;
    }
    this.socket.pause?.();
    this.waitForDrain();
  }

  private waitForDrain(): void {
    const { clock, limits } = this.context;
    if (this.drainTimer !== undefined || this.failure !== undefined) return;
    this.stalledSince ??= clock.now();
    const before = this.socket.bufferedAmount;
    this.drainTimer = clock.setTimeout(() => {
      this.drainTimer = undefined;
      const now = this.socket.bufferedAmount;
      if (now <= limits.maxBuffered / 2) {
        this.stalledSince = undefined;
        this.socket.resume?.();
        this.pump();
        return;
      }
      if (now < before) this.stalledSince = clock.now();
      if (clock.now() - this.stalledSince! > limits.stallMs) {
        this.cutOff(new KadError('KAD_UNREACHABLE', 'the peer takes nothing of what it is sent'));
        return;
      }
      this.waitForDrain();
    }, DRAIN_POLL_MS);
  }

  private receive(data: unknown): void {
    if (this.failure !== undefined) return;
    this.lastFrame = this.context.clock.now();
    try {
      const { type, id, body } = parseFrame(data);
      if (this.peer === undefined) this.onHandshake(type, body);
      else if (type === FrameType.request) this.onRequest(id, body);
      else if (type === FrameType.response || type === FrameType.error) {
        this.onAnswer(type, id, body);
      } else if (type === FrameType.ping) {
        this.onIdleFrame();
        this.send(FrameType.pong, 0, EMPTY);
      } else if (type === FrameType.pong) this.onIdleFrame();
      else throw new KadError('KAD_MALFORMED', 'the handshake is over');
    } catch (error) {
      this.context.logger.debug(
        { peer: this.peer, address: this.made.remoteAddress, error: messageOf(error) },
        'a WebSocket broke the protocol',
      );
      const known = error instanceof KadError ? error : undefined;
      const code =
        known?.code === 'KAD_IDENTITY_MISMATCH'
          ? CloseCode.identity
          : known?.code === 'KAD_TOO_LARGE'
            ? CloseCode.tooLarge
            : CloseCode.protocol;
      // Who does not speak our protocol is as good as not there.
      const shown =
        known?.code === 'KAD_IDENTITY_MISMATCH' || known?.code === 'KAD_TOO_LARGE'
          ? known
          : new KadError('KAD_UNREACHABLE', `${this.made.remoteAddress}: ${messageOf(error)}`, {
              cause: error,
            });
      this.fail(shown, code);
    }
  }

  private onHandshake(type: FrameType, body: Uint8Array): void {
    const { identity } = this.context;
    if (this.role === 'dialer' && type === FrameType.challenge && this.them === undefined) {
      this.them = this.checked(parseIntroduction(body));
      const proof = prove(identity, 'dialer', this.them, this.us);
      this.send(FrameType.answer, 0, encodeAnswer(this.us, proof));
      return;
    }
    if (this.role === 'dialer' && type === FrameType.welcome && this.them !== undefined) {
      checkProof(body, 'acceptor', this.them, this.us);
      this.becomeReady(this.them.nodeId);
      return;
    }
    if (this.role === 'acceptor' && type === FrameType.answer) {
      const { dialer, proof } = parseAnswer(body);
      this.them = this.checked(dialer);
      checkProof(proof, 'dialer', this.us, dialer);
      this.send(FrameType.welcome, 0, prove(identity, 'acceptor', this.us, dialer));
      this.becomeReady(dialer.nodeId);
      return;
    }
    throw new KadError('KAD_MALFORMED', 'this frame has no place in the handshake');
  }

  /** @throws KadError KAD_IDENTITY_MISMATCH when they are not whom we dialled, or whom TLS proved. */
  private checked(them: Introduction): Introduction {
    for (const expected of [this.expectedNodeId, this.made.provedNodeId]) {
      if (expected !== undefined && them.nodeId !== expected) {
        throw new KadError(
          'KAD_IDENTITY_MISMATCH',
          `${this.made.remoteAddress} is node ${them.nodeId}, not ${expected}`,
        );
      }
    }
    return them;
  }

  private becomeReady(peer: NodeId): void {
    const { clock } = this.context;
    clock.clearTimeout(this.helloTimer);
    this.peer = peer;
    this.lastUsed = clock.now();
    this.scheduleTick();
    this.context.onReady(this);
    this.settleReady(undefined, peer);
    this.pump();
  }

  private onRequest(id: number, message: Uint8Array): void {
    const { limits, work } = this.context;
    if (this.inWork >= limits.maxInWork || work.bytes + message.length > limits.maxWorkBytes) {
      this.refuse(id, new KadError('KAD_BUSY', 'too many messages at one time: try again later'));
      return;
    }
    this.lastUsed = this.lastFrame;
    this.inWork += 1;
    work.bytes += message.length;
    this.answer(message)
      .then(
        (answer) => this.send(FrameType.response, id, answer),
        (error: unknown) => this.refuse(id, error),
      )
      .finally(() => {
        this.inWork -= 1;
        work.bytes -= message.length;
      });
  }

  private async answer(message: Uint8Array): Promise<Uint8Array> {
    const handler = this.context.handler();
    if (handler === undefined) throw new KadError('KAD_STOPPED', 'the node is not running');
    const remote = { nodeId: this.peer!, address: this.made.remoteAddress };
    const answer = await handler(message, remote);
    if (answer.length > MAX_MESSAGE_SIZE) {
      throw new KadError('KAD_TOO_LARGE', `an answer has at most ${MAX_MESSAGE_SIZE} bytes`);
    }
    return answer;
  }

  private refuse(id: number, error: unknown): void {
    if (!(error instanceof KadError)) {
      this.context.logger.error(
        { error: messageOf(error) },
        'a message over a WebSocket could not be answered',
      );
    }
    this.send(FrameType.error, id, utf8(JSON.stringify(refusalOf(error))));
  }

  private onAnswer(type: FrameType, id: number, body: Uint8Array): void {
    const call = this.pending.get(id);
    if (call === undefined) {
      // Late answers are as good as any other; answers to what was never asked are not.
      if (!this.abandoned.delete(id)) this.onIdleFrame();
      return;
    }
    this.lastUsed = this.lastFrame;
    if (type === FrameType.response) call.settle(undefined, body);
    else call.settle(parseRefusal(this.made.remoteAddress, body));
  }

  /** @throws KadError KAD_MALFORMED when there are too many of them. */
  private onIdleFrame(): void {
    this.idleFrames += 1;
    if (this.idleFrames > this.context.limits.maxIdleFrames) {
      throw new KadError('KAD_MALFORMED', 'too many frames that mean nothing');
    }
  }

  private scheduleTick(): void {
    const { clock, limits, random } = this.context;
    // Jitter keeps connections that were opened together from pinging together.
    const delay = limits.pingMs * (0.75 + random(1)[0]! / 512);
    this.tickTimer = clock.setTimeout(() => this.tick(), delay);
  }

  private tick(): void {
    const { clock, limits } = this.context;
    const now = clock.now();
    this.idleFrames = 0;
    if (now - this.lastFrame > limits.silenceMs) {
      this.cutOff(new KadError('KAD_UNREACHABLE', `${this.made.remoteAddress} went silent`));
      return;
    }
    if (this.role === 'dialer' && this.unused && now - this.lastUsed > limits.idleMs) {
      this.fail(new UnusedConnectionError('KAD_UNREACHABLE', 'unused for long'), CloseCode.idle);
      return;
    }
    if (now - this.lastFrame > limits.pingMs / 2) this.send(FrameType.ping, 0, EMPTY);
    this.scheduleTick();
  }

  /** Nothing came since a question that timed out: is anybody still there? */
  private probe(): void {
    const { clock, limits } = this.context;
    if (this.probeTimer !== undefined || this.failure !== undefined) return;
    const since = clock.now();
    this.send(FrameType.ping, 0, EMPTY);
    this.probeTimer = clock.setTimeout(() => {
      this.probeTimer = undefined;
      if (this.lastFrame >= since) return;
      this.cutOff(new KadError('KAD_UNREACHABLE', `${this.made.remoteAddress} went silent`));
    }, limits.helloMs);
  }

  private cutOff(error: KadError): void {
    this.fail(error, CloseCode.timeout);
    this.socket.terminate?.();
  }

  private onSocketClosed(code: number, reason: string): void {
    const why = this.socketError ?? (reason === '' ? `code ${code}` : `${code} ${reason}`);
    const text = `${this.made.remoteAddress} closed the connection: ${why.slice(0, 200)}`;
    this.fail(
      code === CloseCode.idle
        ? new UnusedConnectionError('KAD_UNREACHABLE', text)
        : new KadError('KAD_UNREACHABLE', text),
      CloseCode.goingAway,
    );
    this.context.clock.clearTimeout(this.closeTimer);
    this.markClosed();
  }

  private fail(error: KadError, code: number): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    const { clock } = this.context;
    for (const timer of [this.helloTimer, this.tickTimer, this.probeTimer, this.drainTimer]) {
      clock.clearTimeout(timer);
    }
    this.socket.resume?.();
    this.socket.close(code, error.code);
    // A peer that does not close its side would keep the socket.
    this.closeTimer = clock.setTimeout(() => {
      this.socket.terminate?.();
      this.markClosed();
    }, CLOSE_MS);
    this.settleReady(error);
    for (const call of [...this.pending.values(), ...this.queue]) call.settle(error);
    this.context.onClosed(this);
  }
}

function parseRefusal(where: string, body: Uint8Array): KadError {
  let code: unknown = 'UNKNOWN';
  let message: unknown = '';
  try {
    ({ code, message } = JSON.parse(fromUtf8(body.subarray(0, 4096))) as Record<string, unknown>);
  } catch {
    // It did not say why in our words.
  }
  return code === 'KAD_BUSY'
    ? new KadError('KAD_BUSY', `${where}: ${String(message).slice(0, 256)}`)
    : refusalError(where, code, message);
}
