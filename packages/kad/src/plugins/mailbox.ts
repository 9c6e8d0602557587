import { toHex } from '../bytes.js';
import type { Contact } from '../contact.js';
import { KadError, messageOf } from '../errors.js';
import { field } from '../fields.js';
import { LruMap } from '../lru-map.js';
import type { NodeId } from '../node-id.js';
import type { Plugin, PluginHooks, PluginHost } from '../plugin.js';
import { randomFraction } from '../random.js';
import { type Letter, parseLetter, writeLetter } from './letter.js';

/** The limits of a {@link Mailbox}. Times are milliseconds. */
export interface MailboxOptions {
  /** Nodes that letters are kept for at one time. */
  readonly clients?: number;
  /** Letters kept for one of them. */
  readonly lettersEach?: number;
  /** How long a node that has not asked for its letters still gets some. */
  readonly keepMs?: number;
  /** How long a question for letters is held when there are none. */
  readonly holdMs?: number;
}

/** Letters that one node has not fetched yet. */
interface Box {
  readonly letters: Letter[];
  lastPull: number;
  /** Wakes the question that waits for a letter. */
  wake: (() => void) | undefined;
}

/** Letters handed over in one answer: together they stay below the size of a message. */
const LETTERS_A_PULL = 8;
/** A letter that is older than this, or as much ahead, is not delivered. */
const MAX_AGE_MS = 120_000;

/**
 * Letters for nodes that can't be asked, such as those behind a NAT: other nodes keep a few letters
 * for them, and they fetch them by a question that is held until a letter comes. A node that has
 * an address gets its letters straight. Nothing is kept on disk, and nothing for whoever does not
 * keep asking: a letter may be lost, and its writer is told when nobody takes it.
 */
export class Mailbox implements Plugin {
  readonly name = 'mailbox';
  private readonly boxes = new Map<NodeId, Box>();
  private readonly seen = new LruMap<string, true>(4096);
  private readonly options: Required<MailboxOptions>;
  private handler: ((letter: Letter) => void) | undefined;
  private host: PluginHost | undefined;

  constructor(options: MailboxOptions = {}) {
    this.options = { clients: 256, lettersEach: 64, keepMs: 60_000, holdMs: 20_000, ...options };
  }

  install(host: PluginHost): PluginHooks {
    this.host = host;
    return {
      methods: {
        LETTER_SEND: async (params) => this.take(host, parseLetter(field(params, 'letter'))),
        LETTER_PULL: (params, { sender, signal }) =>
          this.pull(host, sender.nodeId, field(params, 'wait') !== false, signal),
      },
      maintain: () => {
        this.sweep(host.clock.now());
        return Promise.resolve();
      },
      stop: () => {
        for (const box of this.boxes.values()) box.wake?.();
        this.boxes.clear();
      },
    };
  }

  /**
   * Receive letters from now on. A node without an address names nodes that keep its letters; they
   * are asked until `signal` is aborted.
   *
   * @param relays - whom to ask; nobody for a node that has an address
   * @returns those that keep letters for us now, when all were asked for the first time
   */
  async receive(
    handler: (letter: Letter) => void,
    relays: readonly Contact[],
    signal: AbortSignal,
  ): Promise<Contact[]> {
    this.handler = handler;
    signal.addEventListener('abort', () => (this.handler = undefined), { once: true });
    const opened = await Promise.all(
      relays.map(
        (relay) =>
          new Promise<boolean>((resolve) => {
            void this.fetch(relay, signal, resolve).finally(() => resolve(false));
          }),
      ),
    );
    return relays.filter((_, i) => opened[i]);
  }

  /**
   * Send a letter: straight where the other node has an address, else to the nodes that keep its
   * letters.
   *
   * @returns how many took it
   * @throws KadError KAD_TOO_LARGE; KAD_UNREACHABLE when nobody took it.
   */
  async send(
    to: NodeId,
    text: string,
    relays: readonly Contact[],
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<number> {
    const { node, identity, clock, random } = this.needHost();
    const letter = writeLetter(identity, {
      from: node.contact,
      to,
      time: clock.now(),
      nonce: toHex(random(16)),
      text,
    });
    const limits = signal === undefined ? {} : { signal };
    const results = await Promise.allSettled(
      relays.map((relay) => node.call(relay, 'LETTER_SEND', { letter }, limits)),
    );
    const taken = results.filter(({ status }) => status === 'fulfilled').length;
    if (taken === 0) throw new KadError('KAD_UNREACHABLE', `nobody takes letters for node ${to}`);
    return taken;
  }

  private needHost(): PluginHost {
    if (this.host === undefined) {
      throw new KadError('KAD_BAD_PARAMETERS', 'the plugin belongs to no node yet');
    }
    return this.host;
  }

  /** A letter came, for us or for one of those that we keep letters for. */
  private take(host: PluginHost, letter: Letter): unknown {
    if (letter.to === host.identity.nodeId) {
      if (this.handler === undefined) {
        throw new KadError('KAD_NOT_FOUND', 'this node takes no letters');
      }
      this.deliver(host, letter);
      return {};
    }
    const box = this.boxes.get(letter.to);
    if (box === undefined || host.clock.now() - box.lastPull > this.options.keepMs) {
      throw new KadError('KAD_NOT_FOUND', `this node keeps no letters for ${letter.to}`);
    }
    if (box.letters.length >= this.options.lettersEach) {
      throw new KadError('KAD_FULL', `the mailbox of ${letter.to} is full`);
    }
    box.letters.push(letter);
    box.wake?.();
    return {};
  }

  private async pull(
    { clock, identity }: PluginHost,
    sender: NodeId,
    wait: boolean,
    stopping: AbortSignal,
  ): Promise<unknown> {
    let box = this.boxes.get(sender);
    if (box === undefined) {
      this.sweep(clock.now());
      if (this.boxes.size >= this.options.clients || sender === identity.nodeId) {
        throw new KadError(
          'KAD_FULL',
          'this node keeps letters for as many as it can: ask another',
        );
      }
      box = { letters: [], lastPull: 0, wake: undefined };
      this.boxes.set(sender, box);
    }
    // One question of each node is held: an older one is answered with nothing.
    box.wake?.();
    box.lastPull = clock.now();
    if (wait && box.letters.length === 0 && !stopping.aborted) {
      const waiting = box;
      await new Promise<void>((resolve) => {
        const wake = () => {
          clock.clearTimeout(timer);
          if (waiting.wake === wake) waiting.wake = undefined;
          resolve();
        };
        const timer = clock.setTimeout(wake, this.options.holdMs);
        waiting.wake = wake;
      });
      waiting.lastPull = clock.now();
    }
    return { letters: box.letters.splice(0, LETTERS_A_PULL) };
  }

  private sweep(now: number): void {
    const keep = this.options.keepMs + this.options.holdMs;
    for (const [nodeId, box] of this.boxes) {
      if (now - box.lastPull <= keep) continue;
      box.wake?.();
      this.boxes.delete(nodeId);
    }
  }

  /** Ask a relay for our letters, again and again; `asked` is told how the first time went. */
  private async fetch(
    relay: Contact,
    signal: AbortSignal,
    asked: (open: boolean) => void,
  ): Promise<void> {
    const { node, clock, random, logger } = this.needHost();
    const host = this.needHost();
    // The first question is not held, so that the box is there at once.
    let wait = false;
    let pause = 500;
    while (!signal.aborted && node.running) {
      try {
        const timeoutMs = this.options.holdMs + 10_000;
        const answer = await node.call(relay, 'LETTER_PULL', { wait }, { signal, timeoutMs });
        wait = true;
        pause = 500;
        asked(true);
        const letters = field(answer, 'letters');
        if (!Array.isArray(letters)) throw new KadError('KAD_MALFORMED', 'letters is not a list');
        for (const value of letters.slice(0, LETTERS_A_PULL))
          this.deliver(host, parseLetter(value));
      } catch (error) {
        asked(false);
        if (signal.aborted || !node.running) return;
        logger.debug({ node: relay.nodeId, error: messageOf(error) }, 'no letters');
        const delay = pause * (0.5 + randomFraction(random));
        pause = Math.min(pause * 2, 60_000);
        await new Promise<void>((resolve) => {
          clock.setTimeout(resolve, delay);
        });
      }
    }
  }

  private deliver({ identity, clock, logger }: PluginHost, letter: Letter): void {
    const key = `${letter.from.nodeId}${letter.nonce}`;
    if (letter.to !== identity.nodeId || this.seen.get(key) === true) return;
    if (Math.abs(clock.now() - letter.time) > MAX_AGE_MS) return;
    this.seen.set(key, true);
    try {
      this.handler?.(letter);
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'a letter could not be taken');
    }
  }
}
