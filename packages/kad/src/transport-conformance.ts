import { systemClock } from './clock.js';
import { MAX_MESSAGE_SIZE } from './envelope.js';
import { KadError } from './errors.js';
import type { NodeId } from './node-id.js';
import type { MessageHandler, Peer, Transport } from './transport.js';

/** A node of a network under test. */
export interface ConformanceNode {
  readonly nodeId: NodeId;
  /** Not listening yet. The suite has it listen and closes it. */
  readonly transport: Transport;
}

/** Where transports under test meet: made anew for each case. */
export interface ConformanceNetwork {
  /** A node that others can reach once it listens. */
  create(): Promise<ConformanceNode>;
  /** The same node at the same address again, after its transport was closed. */
  restart(node: ConformanceNode): Promise<ConformanceNode>;
  /** A well-formed address at which nobody is. */
  deadAddress(): string;
  /** Free everything. */
  close(): Promise<void>;
}

/** One thing that a transport must do. */
export interface ConformanceCase {
  readonly name: string;
  /** @throws ConformanceError when the transport does not do it. */
  run(): Promise<void>;
}

/** A transport does not keep one of the rules. The message says which, and what it did instead. */
export class ConformanceError extends Error {
  override readonly name = 'ConformanceError';
  readonly code = 'KAD_CONFORMANCE';
}

/** How long a case may wait for what should come at once, in milliseconds. */
const SOON_MS = 10_000;
/** A node ID that no node has. */
const NOBODY: NodeId = '0'.repeat(64);

const echo: MessageHandler = (message) => Promise.resolve(message);

function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ConformanceError(message);
}

function describe(error: unknown): string {
  return error instanceof Error
    ? `${error.name} ${String((error as { code?: unknown }).code)}: ${error.message}`
    : String(error);
}

async function soon<T>(promise: Promise<T>, what: string, ms = SOON_MS): Promise<T> {
  let timer: unknown;
  const late = new Promise<never>((_, reject) => {
    timer = systemClock.setTimeout(
      () => reject(new ConformanceError(`${what} took more than ${ms} ms`)),
      ms,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } catch (error) {
    if (error instanceof ConformanceError) throw error;
    throw new ConformanceError(`${what} failed with ${describe(error)}`, { cause: error });
  } finally {
    systemClock.clearTimeout(timer);
  }
}

/** The error that a call must end with, with one of some codes. */
async function fails(
  call: Promise<unknown>,
  codes: readonly string[],
  what: string,
): Promise<KadError> {
  const error = await soon(
    call.then(
      () => undefined,
      (reason: unknown) => reason ?? new Error('nothing'),
    ),
    what,
  );
  check(error !== undefined, `${what} must fail with ${codes.join(' or ')}; it succeeded`);
  if (error instanceof ConformanceError) throw error;
  check(
    error instanceof KadError && codes.includes(error.code),
    `${what} must fail with a KadError of code ${codes.join(' or ')}; it failed with ${describe(error)}`,
  );
  return error;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Bytes that differ with their position and seed. */
function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) bytes[i] = (i * 31 + (i >> 8) * 7 + seed) & 0xff;
  return bytes;
}

function peerOf({ nodeId, transport }: ConformanceNode): Peer {
  return { nodeId, addresses: transport.addresses };
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** What a case is given. */
interface Scene {
  readonly network: ConformanceNetwork;
  /** A node that listens with this handler, closed when the case is over. */
  node(handler?: MessageHandler): Promise<ConformanceNode>;
  /** Have a node closed when the case is over. */
  keep(node: ConformanceNode): ConformanceNode;
}

const cases: readonly { readonly name: string; run(scene: Scene): Promise<void> }[] = [
  {
    name: 'carries messages of every size there and back',
    async run({ node }) {
      const server = await node(async (message) => message.map((byte) => byte ^ 0xff));
      const client = await node();
      const sizes = [1, 2, 125, 126, 127, 65_535, 65_536, 65_537, MAX_MESSAGE_SIZE - 1];
      for (const size of [...sizes, MAX_MESSAGE_SIZE]) {
        const message = pattern(size, size);
        const answer = await soon(
          client.transport.request(peerOf(server), message),
          `an exchange of ${size} bytes`,
        );
        check(
          same(
            answer,
            message.map((byte) => byte ^ 0xff),
          ),
          `an exchange of ${size} bytes brought other bytes (${answer.length} of them)`,
        );
        check(same(message, pattern(size, size)), `the message of ${size} bytes was changed`);
      }
    },
  },
  {
    name: 'tells the handler who asks, when it says that it knows',
    async run({ node }) {
      const remotes: (string | undefined)[] = [];
      const server = await node(async (message, remote) => {
        remotes.push(remote.nodeId);
        return message;
      });
      const client = await node();
      await soon(client.transport.request(peerOf(server), pattern(9, 1)), 'an exchange');
      check(remotes.length === 1, `one message was answered ${remotes.length} times`);
      check(
        remotes[0] === undefined || remotes[0] === client.nodeId,
        `the handler was told that ${String(remotes[0])} asks; it was ${client.nodeId}`,
      );
    },
  },
  {
    name: 'carries many exchanges at one time, each with its own answer',
    async run({ node }) {
      const server = await node();
      const client = await node();
      const answers = await soon(
        Promise.all(
          Array.from({ length: 100 }, (_, i) =>
            client.transport.request(peerOf(server), pattern(1 + i * 97, i)),
          ),
        ),
        '100 exchanges at one time',
      );
      answers.forEach((answer, i) =>
        check(same(answer, pattern(1 + i * 97, i)), `exchange ${i} of 100 got another's answer`),
      );
    },
  },
  {
    name: 'does not hold up one answer for another',
    async run({ node }) {
      const slow = gate();
      const asked = gate();
      const server = await node(async (message) => {
        if (message[0] === 1) {
          asked.open();
          await slow.opened;
        }
        return message;
      });
      const client = await node();
      const first = client.transport.request(peerOf(server), Uint8Array.of(1));
      first.catch(() => undefined);
      await soon(asked.opened, 'the first question');
      const second = client.transport.request(peerOf(server), Uint8Array.of(2));
      check((await soon(second, 'an answer behind a slow one'))[0] === 2, 'answers were mixed up');
      slow.open();
      check((await soon(first, 'the slow answer'))[0] === 1, 'answers were mixed up');
    },
  },
  {
    name: 'lets both sides ask each other at one time',
    async run({ node }) {
      const a = await node();
      const b = await node();
      const results = await soon(
        Promise.all([
          ...Array.from({ length: 10 }, (_, i) => a.transport.request(peerOf(b), pattern(1000, i))),
          ...Array.from({ length: 10 }, (_, i) =>
            b.transport.request(peerOf(a), pattern(1000, i + 10)),
          ),
        ]),
        'questions in both directions',
      );
      results.forEach((answer, i) =>
        check(same(answer, pattern(1000, i)), `exchange ${i} got another's answer`),
      );
    },
  },
  {
    name: 'refuses a message that is too large, and carries the next',
    async run({ node }) {
      const server = await node();
      const client = await node();
      const large = new Uint8Array(MAX_MESSAGE_SIZE + 1);
      await fails(
        client.transport.request(peerOf(server), large),
        ['KAD_TOO_LARGE'],
        `a message of ${large.length} bytes`,
      );
      await soon(client.transport.request(peerOf(server), pattern(5, 5)), 'the next exchange');
    },
  },
  {
    name: 'refuses an answer that is too large, and carries the next',
    async run({ node }) {
      const server = await node(async (message) =>
        message.length === 1 ? new Uint8Array(MAX_MESSAGE_SIZE + 1) : message,
      );
      const client = await node();
      await fails(
        client.transport.request(peerOf(server), Uint8Array.of(1)),
        ['KAD_TOO_LARGE', 'KAD_REMOTE'],
        `an answer of ${MAX_MESSAGE_SIZE + 1} bytes`,
      );
      await soon(client.transport.request(peerOf(server), pattern(5, 5)), 'the next exchange');
    },
  },
  {
    name: 'says that nobody is at an address',
    async run({ node, network }) {
      const client = await node();
      await fails(
        client.transport.request(
          { nodeId: NOBODY, addresses: [network.deadAddress()] },
          pattern(5, 5),
        ),
        ['KAD_UNREACHABLE'],
        'asking where nobody is',
      );
      await fails(
        client.transport.request({ nodeId: NOBODY, addresses: [] }, pattern(5, 5)),
        ['KAD_UNREACHABLE'],
        'asking a node without addresses',
      );
      await fails(
        client.transport.identify(network.deadAddress()),
        ['KAD_UNREACHABLE'],
        'identifying where nobody is',
      );
    },
  },
  {
    name: 'does not take a node for dead whose addresses are those of other transports',
    async run({ node }) {
      const client = await node();
      const { transport } = client;
      const other = ['https://127.0.0.1:1', 'wss://127.0.0.1:1', 'ws://127.0.0.1:1'].find(
        (address) => transport.dials?.(address) === false,
      );
      // It says that it dials whatever comes.
      if (other === undefined) return;
      await fails(
        transport.request({ nodeId: NOBODY, addresses: [other] }, pattern(5, 5)),
        ['KAD_BAD_ADDRESS'],
        `asking at ${other}, which the transport says it does not dial`,
      );
      await fails(transport.identify(other), ['KAD_BAD_ADDRESS'], `identifying ${other}`);
    },
  },
  {
    name: 'does not hand a message to another node than the one asked for',
    async run({ node }) {
      let handled = 0;
      const server = await node(async (message) => {
        handled += 1;
        return message;
      });
      const client = await node();
      await fails(
        client.transport.request(
          { nodeId: NOBODY, addresses: server.transport.addresses },
          pattern(5, 5),
        ),
        ['KAD_IDENTITY_MISMATCH'],
        'asking for a node where another is',
      );
      check(handled === 0, 'a message for another node reached the handler');
      await soon(client.transport.request(peerOf(server), pattern(5, 5)), 'the next exchange');
    },
  },
  {
    name: 'tells who is at an address',
    async run({ node }) {
      const server = await node();
      const client = await node();
      for (const address of server.transport.addresses) {
        for (const text of [address, `${address}/${server.nodeId}`]) {
          const nodeId = await soon(client.transport.identify(text), 'identify');
          check(nodeId === server.nodeId, `${text} is ${server.nodeId}, not ${nodeId}`);
        }
        await fails(
          client.transport.identify(`${address}/${NOBODY}`),
          ['KAD_IDENTITY_MISMATCH'],
          'identifying an address that names another node',
        );
      }
    },
  },
  {
    name: 'tries the addresses of a node in order until one works',
    async run({ node, network }) {
      const server = await node();
      const other = await node();
      const client = await node();
      const addresses = [
        network.deadAddress(),
        ...other.transport.addresses,
        ...server.transport.addresses,
      ];
      const answer = await soon(
        client.transport.request({ nodeId: server.nodeId, addresses }, pattern(50, 1)),
        'an exchange by the last of some addresses',
      );
      check(same(answer, pattern(50, 1)), 'the answer is another');
    },
  },
  {
    name: 'gives up when the time is over, and carries the next',
    async run({ node }) {
      const server = await node((message) =>
        message[0] === 1 ? new Promise<Uint8Array>(() => undefined) : Promise.resolve(message),
      );
      const client = await node();
      await fails(
        client.transport.request(peerOf(server), Uint8Array.of(1), { timeoutMs: 150 }),
        ['KAD_TIMEOUT'],
        'an exchange without an answer',
      );
      await soon(client.transport.request(peerOf(server), pattern(5, 5)), 'the next exchange');
    },
  },
  {
    name: 'sends nothing when it is aborted before',
    async run({ node }) {
      let handled = 0;
      const server = await node(async (message) => {
        handled += 1;
        return message;
      });
      const client = await node();
      await fails(
        client.transport.request(peerOf(server), pattern(5, 5), { signal: AbortSignal.abort() }),
        ['KAD_ABORTED'],
        'an exchange that was aborted before',
      );
      await soon(client.transport.request(peerOf(server), pattern(5, 5)), 'the next exchange');
      check(handled === 1, `one message was sent and ${handled} were handled`);
    },
  },
  {
    name: 'stops waiting when it is aborted, and carries the next',
    async run({ node }) {
      const asked = gate();
      const server = await node((message) => {
        if (message[0] !== 1) return Promise.resolve(message);
        asked.open();
        return new Promise<Uint8Array>(() => undefined);
      });
      const client = await node();
      const controller = new AbortController();
      const call = client.transport.request(peerOf(server), Uint8Array.of(1), {
        signal: controller.signal,
      });
      call.catch(() => undefined);
      await soon(asked.opened, 'the question');
      controller.abort();
      await fails(call, ['KAD_ABORTED'], 'an exchange that was aborted');
      await soon(client.transport.request(peerOf(server), pattern(5, 5)), 'the next exchange');
    },
  },
  {
    name: 'says nothing of what went wrong inside a handler',
    async run({ node }) {
      const server = await node((message) => {
        if (message[0] === 1) throw new Error('secret: /home/me/key');
        if (message[0] === 2) return Promise.reject(new TypeError('secret: at line 5'));
        if (message[0] === 3) return Promise.reject(new KadError('KAD_REPLAYED', 'seen before'));
        return Promise.resolve(message);
      });
      const client = await node();
      for (const first of [1, 2]) {
        const error = await fails(
          client.transport.request(peerOf(server), Uint8Array.of(first)),
          ['KAD_REMOTE', 'KAD_INTERNAL'],
          'a message whose handler throws',
        );
        check(
          !`${error.message}${String(error.stack)}`.includes('secret'),
          `the other side was told what a handler threw: ${error.message}`,
        );
      }
      // An error in our own words may go over; it must not look as if nobody had answered.
      await fails(
        client.transport.request(peerOf(server), Uint8Array.of(3)),
        ['KAD_REMOTE', 'KAD_REPLAYED'],
        'a message whose handler refuses it',
      );
      await soon(client.transport.request(peerOf(server), pattern(5, 5)), 'the next exchange');
    },
  },
  {
    name: 'ends the exchanges under way when it is closed',
    async run({ node }) {
      const asked = gate();
      const server = await node(() => {
        asked.open();
        return new Promise<Uint8Array>(() => undefined);
      });
      const client = await node();
      const call = client.transport.request(peerOf(server), pattern(5, 5), { timeoutMs: 60_000 });
      call.catch(() => undefined);
      await soon(asked.opened, 'the question');
      await soon(client.transport.close(), 'close');
      await fails(
        call,
        ['KAD_STOPPED', 'KAD_UNREACHABLE', 'KAD_ABORTED'],
        'an exchange whose transport was closed',
      );
    },
  },
  {
    name: 'tells who waits that the other side was closed',
    async run({ node }) {
      const asked = gate();
      const server = await node(() => {
        asked.open();
        return new Promise<Uint8Array>(() => undefined);
      });
      const client = await node();
      const call = client.transport.request(peerOf(server), pattern(5, 5), { timeoutMs: 60_000 });
      call.catch(() => undefined);
      await soon(asked.opened, 'the question');
      await soon(server.transport.close(), 'close');
      await fails(call, ['KAD_UNREACHABLE'], 'an exchange with a node that was closed');
      await fails(
        client.transport.request(peerOf(server), pattern(5, 5)),
        ['KAD_UNREACHABLE'],
        'asking a node that was closed',
      );
    },
  },
  {
    name: 'does nothing more once it is closed',
    async run({ node, network, keep }) {
      const server = await node();
      const client = keep(await network.create());
      await soon(client.transport.close(), 'close before listen');
      await soon(client.transport.close(), 'a second close');
      await fails(client.transport.listen(echo), ['KAD_STOPPED'], 'listen after close');
      await fails(
        client.transport.request(peerOf(server), pattern(5, 5)),
        ['KAD_STOPPED'],
        'request after close',
      );
      await fails(
        client.transport.identify(server.transport.addresses[0]!),
        ['KAD_STOPPED'],
        'identify after close',
      );
    },
  },
  {
    name: 'reaches a node again that was restarted',
    async run({ node, network, keep }) {
      const server = await node();
      const client = await node();
      const { addresses } = server.transport;
      await soon(client.transport.request(peerOf(server), pattern(5, 1)), 'the first exchange');
      await soon(server.transport.close(), 'close');
      const again = keep(await network.restart(server));
      await again.transport.listen(echo);
      check(
        again.transport.addresses.join() === addresses.join(),
        'restart must bring back the same addresses',
      );
      // That a connection is gone may be found out by using it.
      let failure: unknown;
      for (let i = 0; i < 3; i += 1) {
        const answer = await soon(
          client.transport.request(peerOf(again), pattern(5, 2)).catch((error: unknown) => {
            failure = error;
            return undefined;
          }),
          'an exchange after a restart',
        );
        if (answer === undefined) continue;
        check(same(answer, pattern(5, 2)), 'the answer is another');
        return;
      }
      throw new ConformanceError(
        `a node that was restarted must be reached again: ${describe(failure)}`,
      );
    },
  },
];

/**
 * What every {@link Transport} must do, as cases for any test runner:
 *
 * ```js
 * for (const { name, run } of transportConformance(makeNetwork)) it(name, run);
 * ```
 *
 * Each case makes a network of its own and closes it, takes some seconds at most, and throws a
 * {@link ConformanceError} when a rule is not kept.
 *
 * @param makeNetwork - makes the network in which one case runs
 */
export function transportConformance(
  makeNetwork: () => Promise<ConformanceNetwork>,
): readonly ConformanceCase[] {
  return cases.map(({ name, run }) => ({
    name,
    async run() {
      const network = await makeNetwork();
      const nodes: ConformanceNode[] = [];
      const keep = (node: ConformanceNode) => {
        nodes.push(node);
        return node;
      };
      try {
        await run({
          network,
          keep,
          async node(handler = echo) {
            const node = keep(await network.create());
            await node.transport.listen(handler);
            check(
              node.transport.addresses.length > 0,
              'a node of the network must have an address once it listens',
            );
            return node;
          },
        });
      } finally {
        for (const { transport } of nodes) await transport.close();
        await network.close();
      }
    },
  }));
}
