import { KadError, messageOf } from '../errors.js';
import type { Logger } from '../logger.js';
import type { NodeId } from '../node-id.js';
import type { Publication } from './publication.js';

/** A publication as an application gets it: its signature has been checked. */
export interface ReceivedPublication {
  /** SHA-256 of what was signed, 64 hex digits. */
  readonly id: string;
  readonly topic: string;
  /** The node that signed it. */
  readonly publisher: NodeId;
  /** When it was made, in the publisher's words: milliseconds since the epoch. */
  readonly time: number;
  readonly payload: Uint8Array;
}

/** Takes publications, one at a time: the next one waits until a promise that it returns settles. */
export type PublicationHandler = (publication: ReceivedPublication) => void | Promise<void>;

/** How a subscription is read. */
export interface SubscribeOptions {
  /** Called for each publication. Without it the subscription is an async iterable. */
  readonly handler?: PublicationHandler;
  /** The most publications that wait for a slow reader. Default 256. */
  readonly queue?: number;
  /**
   * When the queue is full: `drop` loses the oldest and counts it in {@link Subscription.dropped};
   * `fail` ends the subscription with KAD_FULL. Default `drop`.
   */
  readonly overflow?: 'drop' | 'fail';
  /** Ends the subscription when it is aborted. */
  readonly signal?: AbortSignal;
}

/** One reader of a topic. */
export class Subscription implements AsyncIterable<ReceivedPublication> {
  private readonly waiting: ReceivedPublication[] = [];
  private readonly limit: number;
  private wake: (() => void) | undefined;
  private closed = false;
  private failure: KadError | undefined;
  private lost = 0;

  /** @param ended - told once, when nobody reads any more */
  constructor(
    readonly topic: string,
    private readonly options: SubscribeOptions,
    private readonly logger: Logger,
    private readonly ended: () => void,
  ) {
    this.limit = options.queue ?? 256;
    if (!Number.isInteger(this.limit) || this.limit < 1 || this.limit > 65_536) {
      throw new KadError('KAD_BAD_PARAMETERS', 'the queue of a subscription has 1 to 65536 places');
    }
    options.signal?.addEventListener('abort', this.onAbort, { once: true });
    if (options.handler !== undefined) void this.feed(options.handler);
  }

  /** Publications that were lost since the reader was too slow for them. */
  get dropped(): number {
    return this.lost;
  }

  /** Publications that wait to be read. */
  get queued(): number {
    return this.waiting.length;
  }

  /** Stop reading. What waits is forgotten. The last subscription of a topic leaves the topic. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.waiting.length = 0;
    this.options.signal?.removeEventListener('abort', this.onAbort);
    this.wake?.();
    this.ended();
  }

  /** Hand over a publication: called by the plugin, once for each. */
  offer({ id, publisher, time, payload }: Publication): void {
    if (this.closed) return;
    if (this.waiting.length >= this.limit) {
      if (this.options.overflow === 'fail') {
        this.failure = new KadError(
          'KAD_FULL',
          `the reader of "${this.topic}" let ${this.limit} publications wait: read faster, or make the queue longer`,
        );
        this.logger.warn({ topic: this.topic }, 'a subscription ends: its reader is too slow');
        this.close();
        return;
      }
      this.waiting.shift();
      this.lost += 1;
    }
    // Each reader has bytes of its own: what one does to them is not seen by the others.
    this.waiting.push({ id, topic: this.topic, publisher, time, payload: payload.slice() });
    this.wake?.();
  }

  /**
   * @throws KadError KAD_FULL, when `overflow` is `fail` and the reader was too slow.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ReceivedPublication, void, void> {
    try {
      for (;;) {
        const next = await this.next();
        if (next === undefined) return;
        yield next;
      }
    } finally {
      this.close();
    }
  }

  private async next(): Promise<ReceivedPublication | undefined> {
    while (this.waiting.length === 0) {
      if (this.failure !== undefined) throw this.failure;
      if (this.closed) return undefined;
      await new Promise<void>((resolve) => (this.wake = resolve));
      this.wake = undefined;
    }
    return this.waiting.shift();
  }

  private async feed(handler: PublicationHandler): Promise<void> {
    for (;;) {
      const next = await this.next().catch(() => undefined);
      if (next === undefined) return;
      try {
        await handler(next);
      } catch (error) {
        this.logger.error(
          { topic: this.topic, error: messageOf(error) },
          'the handler of a subscription failed',
        );
      }
    }
  }

  private readonly onAbort = () => this.close();
}
