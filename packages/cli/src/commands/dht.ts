import { readFile } from 'node:fs/promises';
import { addAbortSignal } from 'node:stream';
import type { KademliaNode } from '@granary/kad';
import { type Context } from '../context.js';
import { CliError } from '../cli-error.js';
import { table } from '../output.js';
import { formatDuration } from '../units.js';

/** Run a node of its own, with an identity for this call only, and do something with it. */
async function withNode<T>(
  context: Context,
  join: boolean,
  work: (node: KademliaNode) => Promise<T>,
): Promise<T> {
  const { HttpsTransport, Identity, KademliaNode, MemoryValueStore, createTlsCredentials } =
    await import('@granary/kad');
  const identity = Identity.generate();
  const node = new KademliaNode({
    identity,
    transport: new HttpsTransport({ credentials: await createTlsCredentials(identity) }),
    storage: new MemoryValueStore(),
    logger: context.logger,
  });
  await node.start();
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
