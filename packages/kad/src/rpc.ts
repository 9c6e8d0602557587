import { setMaxListeners } from 'node:events';
import type { Clock } from './clock.js';
import { type Contact, parseContact } from './contact.js';
import { NonceCache, openEnvelope, sealEnvelope } from './envelope.js';
import { KadError, messageOf } from './errors.js';
import type { Identity } from './identity.js';
import {
  encodeError,
  encodeRequest,
  encodeResult,
  parseRequest,
  parseResponse,
} from './json-rpc.js';
import type { Logger } from './logger.js';
import { LruMap } from './lru-map.js';
import type { NodeId } from './node-id.js';
import type { Random } from './random.js';
import type { ExchangeOptions, Remote, Transport } from './transport.js';

/** What a method's handler is told besides its parameters. */
export interface MethodContext {
  /** Who asks: proved by its signature. */
  readonly sender: Contact;
  /** Aborted when the node stops. */
  readonly signal: AbortSignal;
}

/** Answers one method. What it returns goes out as JSON; a KadError's code and message go out too. */
export type MethodHandler = (params: unknown, context: MethodContext) => Promise<unknown>;

/** What {@link SignedRpc} is made of. */
export interface SignedRpcOptions {
  readonly identity: Identity;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Our contact as it is now. */
  readonly contact: () => Contact;
  /** Told of every contact that sent us a message that checked out. */
  readonly onContact: (contact: Contact, how: 'asked us' | 'answered us') => void;
  /** Milliseconds for one exchange. */
  readonly timeoutMs: number;
  /** The most requests answered at one time. */
  readonly maxConcurrent: number;
}

/** Signed JSON-RPC over a transport: seals what goes out, checks what comes in, and dispatches it. */
export class SignedRpc {
  private readonly methods = new Map<string, MethodHandler>();
  private readonly nonces: NonceCache;
  private readonly stopping = new AbortController();
  private active = 0;
  /** Requests in work for each peer, so that one peer can't take all places. */
  private readonly perPeer = new LruMap<NodeId, number>(10_000);

  constructor(private readonly options: SignedRpcOptions) {
    this.nonces = new NonceCache(options.clock);
    // Every call listens for the stop; there is no leak to warn of.
    setMaxListeners(0, this.stopping.signal);
  }

  /** Answer a method. @throws KadError KAD_BAD_PARAMETERS when the name is taken. */
  register(name: string, handler: MethodHandler): void {
    if (this.methods.has(name)) {
      throw new KadError('KAD_BAD_PARAMETERS', `the method ${name} is registered already`);
    }
    this.methods.set(name, handler);
  }

  listen(): Promise<void> {
    return this.options.transport.listen((message, remote) => this.receive(message, remote));
  }

  stop(): void {
    this.stopping.abort(new KadError('KAD_STOPPED', 'the node was stopped'));
  }

  /**
   * Ask a node.
   *
   * @throws KadError: the transport's, the envelope's, or {@link RemoteError} for what it answered.
   */
  async call(
    to: { nodeId: NodeId; addresses: readonly string[] },
    method: string,
    params: unknown,
    { signal, timeoutMs }: ExchangeOptions = {},
  ): Promise<{ result: unknown; contact: Contact }> {
    const { identity, transport, clock, random, contact, onContact } = this.options;
    const nonce = Buffer.from(random(16)).toString('hex');
    const message = sealEnvelope(identity, {
      sender: contact(),
      recipient: to.nodeId,
      nonce,
      kind: 'request',
      time: clock.now(),
      payload: encodeRequest({ method, params, id: nonce }),
    });
    const answer = await transport.request(to, message, {
      signal: signal ? AbortSignal.any([signal, this.stopping.signal]) : this.stopping.signal,
      timeoutMs: timeoutMs ?? this.options.timeoutMs,
    });
    const envelope = openEnvelope(answer, {
      recipient: identity.nodeId,
      kind: 'response',
      nonce,
      sender: to.nodeId,
      now: clock.now(),
    });
    onContact(envelope.sender, 'answered us');
    return { result: parseResponse(envelope.payload, nonce), contact: envelope.sender };
  }

  private async receive(message: Uint8Array, remote: Remote): Promise<Uint8Array> {
    const { identity, clock, contact, onContact, maxConcurrent } = this.options;
    const envelope = openEnvelope(message, {
      recipient: identity.nodeId,
      kind: 'request',
      now: clock.now(),
      ...(remote.nodeId !== undefined && { sender: remote.nodeId }),
    });
    this.nonces.take(envelope.sender.nodeId, envelope.nonce);
    onContact(envelope.sender, 'asked us');
    const peer = envelope.sender.nodeId;
    const mine = this.perPeer.get(peer) ?? 0;
    let payload: string;
    if (this.active >= maxConcurrent || mine >= Math.max(4, maxConcurrent / 8)) {
      payload = encodeError(null, 'KAD_BUSY', 'too many requests at one time: try again later');
    } else {
      this.active += 1;
      this.perPeer.set(peer, mine + 1);
      try {
        payload = await this.dispatch(envelope.payload, envelope.sender);
      } finally {
        this.active -= 1;
        const left = (this.perPeer.get(peer) ?? 1) - 1;
        if (left > 0) this.perPeer.set(peer, left);
        else this.perPeer.delete(peer);
      }
    }
    return sealEnvelope(identity, {
      sender: contact(),
      recipient: peer,
      nonce: envelope.nonce,
      kind: 'response',
      time: clock.now(),
      payload,
    });
  }

  private async dispatch(payload: string, sender: Contact): Promise<string> {
    let id: string | null = null;
    try {
      const request = parseRequest(payload);
      id = request.id;
      const handler = this.methods.get(request.method);
      if (handler === undefined) {
        throw new KadError('KAD_METHOD_NOT_FOUND', `there is no method ${request.method}`);
      }
      const result = await handler(request.params, { sender, signal: this.stopping.signal });
      return encodeResult(id, result);
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      // Our own errors are written for others to read; Node's (ERR_…) are not.
      if (
        error instanceof Error &&
        typeof code === 'string' &&
        /^(?!ERR_)[A-Z]+_[A-Z_]+$/.test(code)
      ) {
        return encodeError(id, code, error.message);
      }
      this.options.logger.error({ error: messageOf(error) }, 'a method failed');
      return encodeError(id, 'KAD_INTERNAL', 'internal error');
    }
  }
}

/** Contacts from an answer; those that don't check out are dropped. */
export function parseContacts(value: unknown, limit: number): Contact[] {
  if (!Array.isArray(value)) throw new KadError('KAD_MALFORMED', 'contacts is not a list');
  const contacts: Contact[] = [];
  for (const entry of (value as unknown[]).slice(0, limit)) {
    try {
      contacts.push(parseContact(entry));
    } catch {
      // One bad contact does not make the rest worthless.
    }
  }
  return contacts;
}
