import { performance } from 'node:perf_hooks';
import {
  HttpsTransport,
  Identity,
  KademliaNode,
  MemoryNetwork,
  MemoryTransport,
  MemoryValueStore,
  createTlsCredentials,
  sha256,
} from '@granary/kad';

const CALLS = 2000;
const NODES = 200;
const LOOKUPS = 100;

async function httpsNode(): Promise<KademliaNode> {
  const identity = Identity.generate();
  const transport = new HttpsTransport({
    credentials: await createTlsCredentials(identity),
    listen: { host: '127.0.0.1', port: 0 },
  });
  const node = new KademliaNode({ identity, transport, storage: new MemoryValueStore() });
  await node.start();
  return node;
}

/** Signed RPCs per second between two nodes over HTTPS on loopback, both in this one process. */
async function benchRpc(report: (line: string) => void): Promise<void> {
  const [a, b] = [await httpsNode(), await httpsNode()];
  const contact = b.contact;
  const run = async (count: number) => {
    let left = count;
    const worker = async () => {
      while (left-- > 0) await a.ping(contact);
    };
    await Promise.all(Array.from({ length: 4 }, worker));
  };
  await run(200);
  const cpu = process.cpuUsage();
  const begun = performance.now();
  await run(CALLS);
  const seconds = (performance.now() - begun) / 1000;
  const used = process.cpuUsage(cpu);
  const cpuSeconds = (used.user + used.system) / 1e6;
  report(
    `  signed RPCs over HTTPS, both ends in one process: ${(CALLS / seconds).toFixed(0)} a second,`,
  );
  report(
    `  ${((cpuSeconds / CALLS) * 1e6).toFixed(0)} µs of CPU each (two signatures made and two checked)`,
  );
  await a.stop();
  await b.stop();
}

/** Hops and messages of lookups among nodes in this process. */
async function benchLookups(report: (line: string) => void): Promise<void> {
  const network = new MemoryNetwork();
  const nodes: KademliaNode[] = [];
  const begun = performance.now();
  for (let i = 0; i < NODES; i += 1) {
    const identity = Identity.generate();
    const node = new KademliaNode({
      identity,
      transport: new MemoryTransport(network, identity.nodeId, `https://node-${i}.test:1`),
      storage: new MemoryValueStore(),
    });
    await node.start();
    if (i > 0) await node.join([nodes[Math.floor(Math.random() * i)]!.contact.addresses[0]!]);
    nodes.push(node);
  }
  const joined = performance.now();
  const hops: number[] = [];
  let messages = 0;
  for (let i = 0; i < LOOKUPS; i += 1) {
    const target = Buffer.from(sha256(Buffer.from(String(i)))).toString('hex');
    const found = await nodes[(i * 7) % NODES]!.lookup(target);
    hops.push(found.hops);
    messages += found.messages;
  }
  const seconds = (performance.now() - joined) / 1000;
  hops.sort((x, y) => x - y);
  const mean = hops.reduce((sum, h) => sum + h, 0) / hops.length;
  report(`  ${NODES} nodes in one process: joined in ${((joined - begun) / 1000).toFixed(1)} s`);
  report(
    `  ${LOOKUPS} lookups: ${mean.toFixed(2)} hops (median ${hops[LOOKUPS / 2]}, most ${hops.at(-1)}), ${(messages / LOOKUPS).toFixed(1)} messages, ${(LOOKUPS / seconds).toFixed(1)} a second`,
  );
  await Promise.all(nodes.map((node) => node.stop()));
}

/** The DHT: signed RPCs and lookups. */
export async function benchDht(report: (line: string) => void): Promise<void> {
  await benchRpc(report);
  await benchLookups(report);
}
