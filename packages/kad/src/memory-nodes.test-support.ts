import type { Clock } from './clock.js';
import { Identity } from './identity.js';
import { KademliaNode } from './kademlia-node.js';
import type { KademliaOptions } from './kademlia-options.js';
import { MemoryNetwork, MemoryTransport } from './memory-transport.js';
import { sha256 } from './sha256.js';
import { MemoryValueStore } from './value-store.js';

/** Random bytes that are the same for the same seed. */
export function seededRandom(seed: string): (count: number) => Uint8Array {
  let counter = 0;
  return (count) => {
    const out = new Uint8Array(count);
    for (let at = 0; at < count; at += 32) {
      const block = sha256(Buffer.from(`${seed}:${counter++}`));
      out.set(block.subarray(0, Math.min(32, count - at)), at);
    }
    return out;
  };
}

/** A clock that moves when it is told to. Timers fire in order of time. */
export class ManualClock implements Clock {
  private time = 1_700_000_000_000;
  private readonly timers = new Map<number, { at: number; run: () => void }>();
  private nextId = 1;

  now(): number {
    return this.time;
  }

  setTimeout(run: () => void, ms: number): unknown {
    this.timers.set(this.nextId, { at: this.time + ms, run });
    return this.nextId++;
  }

  clearTimeout(handle: unknown): void {
    this.timers.delete(handle as number);
  }

  /** Move on without firing timers. */
  advance(ms: number): void {
    this.time += ms;
  }
}

/** Some nodes on a memory network, joined one after the other. For tests. */
export async function memoryNodes(
  count: number,
  options: { clock?: Clock; network?: MemoryNetwork; kademlia?: Partial<KademliaOptions> } = {},
): Promise<{ nodes: KademliaNode[]; network: MemoryNetwork }> {
  const network = options.network ?? new MemoryNetwork();
  const random = seededRandom('network');
  const nodes: KademliaNode[] = [];
  for (let i = 0; i < count; i += 1) {
    const identity = Identity.generate(random);
    const node = new KademliaNode({
      identity,
      transport: new MemoryTransport(network, identity.nodeId, `https://node-${i}.test:1`),
      storage: new MemoryValueStore(),
      random,
      ...(options.clock !== undefined && { clock: options.clock }),
      ...(options.kademlia !== undefined && { options: options.kademlia }),
    });
    await node.start();
    if (i > 0) await node.join([nodes[i % nodes.length]!.contact.addresses[0]!]);
    nodes.push(node);
  }
  return { nodes, network };
}
