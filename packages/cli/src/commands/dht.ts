import { readFile } from 'node:fs/promises';
import { addAbortSignal } from 'node:stream';
import type { KademliaNode, LookupTrace, Plugin, Trace } from '@granary/kad';
import { type Context } from '../context.js';
import { CliError } from '../cli-error.js';
import { table } from '../output.js';
import { formatDuration } from '../units.js';
import { startVisitingNode } from '../visiting-node.js';

/** Run a node of its own, with an identity for this call only, and do something with it. */
async function withNode<T>(
  context: Context,
  join: boolean,
  work: (node: KademliaNode) => Promise<T>,
  plugins: readonly Plugin[] = [],
): Promise<T> {
  const node = await startVisitingNode(context, plugins);
  try {
    if (join) {
      const bootstrap = context.config.bootstrap ?? [];
      if (bootstrap.length === 0) {
        throw new CliError(
          'CLI_USAGE',
          'no node of the network is known: use --bootstrap https://HOST:PORT or GRANARY_BOOTSTRAP',
        );
      }
      await node.join(bootstrap, { signal: context.signal });
    }
    return await work(node);
  } finally {
    await node.stop();
  }
}

/** `granary dht ping` */
export async function ping(context: Context, address: string): Promise<void> {
  await withNode(context, false, async (node) => {
    const contact = await node.resolve(address, { signal: context.signal });
    const ms = await node.ping(contact, { signal: context.signal });
    context.output.result({ nodeId: contact.nodeId, addresses: contact.addresses, ms });
    context.output.line(
      `${contact.nodeId} at ${contact.addresses.join(', ')}: ${formatDuration(ms)}`,
    );
  });
}

/** `granary dht lookup` */
export async function lookup(context: Context, target: string): Promise<void> {
  await withNode(context, true, async (node) => {
    const { contacts, hops, messages } = await node.lookup(target, { signal: context.signal });
    context.output.result({ target, contacts, hops, messages });
    context.output.line(
      table(contacts.map(({ nodeId, addresses }) => [nodeId, addresses.join(' ')])),
    );
    context.output.line(`${contacts.length} nodes, ${hops} hops, ${messages} messages`);
  });
}

/** `granary dht trace` */
export async function trace(context: Context, key: string): Promise<void> {
  const { KadError, LookupTrace } = await import('@granary/kad');
  const plugin: LookupTrace = new LookupTrace();
  await withNode(
    context,
    true,
    async (node) => {
      const found = await node.get(key, { signal: context.signal }).catch((error: unknown) => {
        // Not found is an outcome like another here: the way is what was asked for.
        if (error instanceof KadError && error.code === 'KAD_NOT_FOUND') return undefined;
        throw error;
      });
      const lookup = plugin.lookups.findLast(({ target }) => target === key);
      if (lookup === undefined) throw new KadError('KAD_INTERNAL', 'the lookup left no trace');
      showTrace(context, lookup, found);
    },
    [plugin],
  );
}

function showTrace({ output }: Context, lookup: Trace, value: Uint8Array | undefined): void {
  const { target, tookMs, hops, steps } = lookup;
  output.result({
    target,
    found: value !== undefined,
    bytes: value?.length ?? null,
    ms: tookMs ?? null,
    hops,
    steps: steps.map(({ contact, ...step }) => ({
      nodeId: contact.nodeId,
      addresses: contact.addresses,
      ...step,
      namedBy: step.namedBy ?? null,
      tookMs: step.tookMs ?? null,
      error: step.error ?? null,
    })),
  });
  const short = (id: string | undefined) => id?.slice(0, 12) ?? 'known';
  const rows = steps.map((step) => [
    `${step.startMs} ms`,
    String(step.path + 1),
    String(step.depth),
    short(step.contact.nodeId),
    step.contact.addresses[0] ?? '',
    short(step.namedBy),
    step.tookMs === undefined ? '' : `${step.tookMs} ms`,
    outcomeOf(step),
  ]);
  output.line(
    table([['asked at', 'path', 'hop', 'node', 'address', 'named by', 'took', 'answer'], ...rows]),
  );
  const answer =
    value === undefined
      ? `no node has a value for ${target}`
      : `found a value of ${value.length} bytes`;
  output.line(`${answer}: ${steps.length} nodes asked, ${hops} hops, ${tookMs ?? 0} ms`);
}

function outcomeOf({ outcome, named, error }: Trace['steps'][number]): string {
  if (outcome === 'value') return 'the value';
  if (outcome === 'answered') return `${named} contacts`;
  if (outcome === 'failed') return `nothing (${error ?? 'unknown'})`;
  return 'was not waited for';
}

/** `granary dht get` */
export async function get(context: Context, key: string): Promise<void> {
  await withNode(context, true, async (node) => {
    const value = await node.get(key, { signal: context.signal });
    if (context.output.json) {
      context.output.result({ key, value: Buffer.from(value).toString('base64') });
    } else {
      process.stdout.write(value);
    }
  });
}

/** `granary dht put` */
export async function put(context: Context, file: string): Promise<void> {
  const value = file === '-' ? await readStdin(context.signal) : await readValue(file);
  await withNode(context, true, async (node) => {
    const { key, stored } = await node.put(value, { signal: context.signal });
    context.output.result({ key, stored });
    context.output.line(key);
    context.output.note(`${stored} nodes keep it`);
  });
}

/** Read stdin to its end, or until a signal comes. */
async function readStdin(signal: AbortSignal): Promise<Buffer> {
  // Otherwise an open pipe would hold the process.
  addAbortSignal(signal, process.stdin);
  try {
    return await readAll(process.stdin);
  } catch (error) {
    throw signal.aborted ? new CliError('CLI_INTERRUPTED', 'stopped') : error;
  }
}

async function readValue(file: string): Promise<Buffer> {
  return readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES') throw error;
    throw new CliError('CLI_SOURCE', `${file} can't be read: ${error.code}`);
  });
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of stream) {
    parts.push(part);
    size += part.length;
    if (size > 1024 * 1024)
      throw new CliError('CLI_USAGE', 'a value of the DHT has at most 64 KiB');
  }
  return Buffer.concat(parts);
}
