import { toHex } from './bytes.js';
import type { Clock } from './clock.js';
import { type Contact, parseContact } from './contact.js';
import { type Envelope, NonceCache, openEnvelope, sealEnvelope } from './envelope.js';
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
import { allowManyListeners } from './listeners.js';
import { LruMap } from './lru-map.js';
import type { NodeId } from './node-id.js';
import type { Random } from './random.js';
import type { Destination, RpcChannel, RpcHost, RpcReply } from './rpc-channel.js';
import type { ExchangeOptions, Remote, Transport } from './transport.js';

/** What {@link SignedRpc} is made of. */
export interface SignedRpcOptions {
  readonly identity: Identity;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Milliseconds for one exchange. */
  readonly timeoutMs: number;
  /** The most requests answered at one time. */
  readonly maxConcurrent: number;
}

/** Signed JSON-RPC over a transport: seals what goes out, checks what comes in. */
export class SignedRpc implements RpcChannel {
  private readonly nonces: NonceCache;
  private readonly stopping = new AbortController();
  private host: RpcHost | undefined;
  private active = 0;
  /** Requests in work for each peer, so that one peer can't take all places. */
  private readonly perPeer = new LruMap<NodeId, number>(10_000);

  constructor(private readonly options: SignedRpcOptions) {
    this.nonces = new NonceCache(options.clock);
    // Every call listens for the stop; there is no leak to warn of.
    allowManyListeners(this.stopping.signal);
  }

  get addresses(): readonly string[] {
    return this.options.transport.addresses;
  }

  listen(host: RpcHost): Promise<void> {
    this.host = host;
    return this.options.transport.listen((message, remote) => this.receive(host, message, remote));
  }

  identify(address: string, options?: ExchangeOptions): Promise<NodeId> {
    return this.options.transport.identify(address, options);
  }

  async stop(): Promise<void> {
    this.stopping.abort(new KadError('KAD_STOPPED', 'the node stops'));
    await this.options.transport.close();
  }

  /**
   * Ask a node, and check that the answer is its own.
   *
   * @throws RemoteError when it answered with an error; other KadErrors when it did not answer.
   */
  async call(
    to: Destination,
    method: string,
    params: unknown,
    { signal, timeoutMs }: ExchangeOptions = {},
  ): Promise<RpcReply> {
    const { identity, transport, clock, random } = this.options;
    const { host } = this;
    if (host === undefined) throw new KadError('KAD_STOPPED', 'the node is not running');
    const nonce = toHex(random(16));
    const message = sealEnvelope(identity, {
      sender: host.contact(),
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
    host.met(envelope.sender, 'answered us');
    return { result: parseResponse(envelope.payload, nonce), contact: envelope.sender };
  }

  private async receive(host: RpcHost, message: Uint8Array, remote: Remote): Promise<Uint8Array> {
    const { identity, clock } = this.options;
    let envelope: Envelope;
    try {
      host.gate(remote, message.length);
      envelope = openEnvelope(message, {
        recipient: identity.nodeId,
        kind: 'request',
        now: clock.now(),
        ...(remote.nodeId !== undefined && { sender: remote.nodeId }),
      });
      this.nonces.take(envelope.sender.nodeId, envelope.nonce);
    } catch (error) {
      host.refused(remote, error);
      throw error;
    }
    host.met(envelope.sender, 'asked us');
    return sealEnvelope(identity, {
      sender: host.contact(),
      recipient: envelope.sender.nodeId,
      nonce: envelope.nonce,
      kind: 'response',
      time: clock.now(),
      payload: await this.answer(host, envelope, remote),
    });
  }

  private async answer(host: RpcHost, envelope: Envelope, remote: Remote): Promise<string> {
    const { maxConcurrent } = this.options;
    const { sender, payload } = envelope;
    const peer = sender.nodeId;
    const mine = this.perPeer.get(peer) ?? 0;
    if (this.active >= maxConcurrent || mine >= Math.max(4, maxConcurrent / 8)) {
      return encodeError(null, 'KAD_BUSY', 'too many requests at one time: try again later');
    }
    this.active += 1;
    this.perPeer.set(peer, mine + 1);
    try {
      return await this.dispatch(host, payload, sender, remote);
    } finally {
      this.active -= 1;
      const left = (this.perPeer.get(peer) ?? 1) - 1;
      if (left > 0) this.perPeer.set(peer, left);
      else this.perPeer.delete(peer);
    }
  }

  private async dispatch(
    host: RpcHost,
    payload: string,
    sender: Contact,
    remote: Remote,
  ): Promise<string> {
    let id: string | null = null;
    try {
      const { method, params, id: requestId } = parseRequest(payload);
      id = requestId;
      const { signal } = this.stopping;
      return encodeResult(id, await host.handle({ method, params, sender, remote, signal }));
    } catch (error) {
      const code = publicCode(error);
      if (code !== undefined) return encodeError(id, code, messageOf(error));
      this.options.logger.error({ error: messageOf(error) }, 'a method failed');
      return encodeError(id, 'KAD_INTERNAL', 'internal error');
    }
  }
}

/** The code of an error that was written for others to read; Node's own (ERR_…) are not. */
export function publicCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown }).code;
  const ours =
    error instanceof Error && typeof code === 'string' && /^(?!ERR_)[A-Z]+_[A-Z_]+$/.test(code);
  return ours ? code : undefined;
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
