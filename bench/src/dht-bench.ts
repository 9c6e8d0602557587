import { fork } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import {
  type Contact,
  Identity,
  KademliaNode,
  MemoryNetwork,
  MemoryTransport,
  MemoryValueStore,
  sha256,
} from '@granary/kad';
import { startHttpsNode } from './https-node.js';
import { median } from './median.js';
import { nextMessage } from './next-message.js';

const PEER = new URL('./rpc-peer.js', import.meta.url).pathname;
const CALLS = 2000;
const ROUNDS = 5;
const PARALLEL = 4;
const NODES = 200;
const LOOKUPS = 100;

/** Signed RPCs between two processes over HTTPS on loopback, and the CPU of each. */
async function benchRpc(report: (line: string) => void): Promise<void> {
  const peer = fork(PEER);
  try {
    const { contact } = await nextMessage<{ contact: Contact }>(peer);
    const node = await startHttpsNode();
    const peerCpu = async () => {
      const answer = nextMessage<{ microseconds: number }>(peer);
      peer.send('cpu');
      return (await answer).microseconds;
    };
    const run = async (count: number) => {
      let left = count;
      const worker = async () => {
        while (left-- > 0) await node.ping(contact);
      };
      await Promise.all(Array.from({ length: PARALLEL }, worker));
    };
    // Until both are compiled.
    await run(CALLS);
    const rounds: { rate: number; asked: number; answered: number }[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = await peerCpu();
      const own = process.cpuUsage();
      const begun = performance.now();
      await run(CALLS);
      const rate = (CALLS * 1000) / (performance.now() - begun);
      const { user, system } = process.cpuUsage(own);
      const answered = ((await peerCpu()) - before) / CALLS;
      rounds.push({ rate, asked: (user + system) / CALLS, answered });
    }
    const middle = (key: keyof (typeof rounds)[0]) => median(rounds.map((round) => round[key]));
    report(
      `  signed RPCs over HTTPS between two processes, ${PARALLEL} at a time: ${middle('rate').toFixed(0)} a second (median of ${ROUNDS} rounds of ${CALLS})`,
    );
    for (const [what, us] of [
      ['asked', middle('asked')],
      ['answered', middle('answered')],
    ] as const) {
      report(
        `    ${what.padEnd(8)} ${us.toFixed(0).padStart(5)} µs of CPU each: ${(1e6 / us).toFixed(0)} a second by one core (one signature made, one checked)`,
      );
    }
    await node.stop();
  } finally {
    peer.kill();
  }
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
