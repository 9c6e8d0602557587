import { type Churn, type Member, PubSubNetwork } from './network.js';
import type { Protocol } from './protocols.js';

/** What is measured. */
export interface PubSubScenario {
  readonly seed: string;
  readonly nodes: number;
  readonly protocol: Protocol;
  /** Group sizes, one after the other in the same network. */
  readonly groups: readonly number[];
  readonly publications: number;
  readonly churn?: Churn;
}

/** What one protocol did for one group. */
export interface PubSubFigures {
  readonly group: number;
  /** Deliveries, of those that there should have been. */
  readonly ratio: number;
  /** Messages for each delivery: requests; each has one small answer, in all protocols alike. */
  readonly payload: number;
  readonly control: number;
  readonly bytes: number;
  /** Milliseconds from the publication to the delivery: median, 95th and 99th percentile. */
  readonly latency: readonly [number, number, number];
  /** Requests for each node that joined the group at first. */
  readonly joining: number;
}

const INTERVAL_MS = 1_000;
const SETTLE_MS = 30_000;
const DEADLINE_MS = 10_000;
const PAYLOAD_BYTES = 256;

interface Sent {
  readonly id: string;
  readonly expected: Member[];
}

/** Run it. */
export async function measurePubSub(
  scenario: PubSubScenario,
  report: (figures: PubSubFigures) => void,
): Promise<void> {
  const network = new PubSubNetwork(scenario.seed, scenario.protocol);
  await network.build(scenario.nodes);
  if (scenario.churn !== undefined) network.churn(scenario.churn);
  for (const size of scenario.groups) {
    report(await measureGroup(network, Math.min(size, scenario.nodes), scenario.publications));
  }
}

async function measureGroup(
  network: PubSubNetwork,
  size: number,
  publications: number,
): Promise<PubSubFigures> {
  const { meter, chance, simulation } = network;
  const { clock } = simulation;
  const topic = `group of ${size}`;
  const arrivals = new Map<string, Map<Member, number>>();
  const began = new Map<string, number>();
  const group = new Set<Member>();
  let lookupsOfDead = 0;
  const lookups = () => {
    let sum = lookupsOfDead;
    for (const { participant } of group) sum += participant.lookups();
    return sum;
  };
  const enrol = async (member: Member) => {
    group.add(member);
    await member.participant.join(topic, (id) => {
      const times = arrivals.get(id) ?? new Map<Member, number>();
      arrivals.set(id, times);
      if (!times.has(member)) times.set(member, clock.now());
    });
    if (member.alive) member.joined.set(topic, clock.now());
  };
  network.onReplaced = (gone, fresh) => {
    if (!group.delete(gone)) return;
    lookupsOfDead += gone.participant.lookups();
    void enrol(fresh);
  };
  meter.reset();
  const begun = lookups();
  const first = chance.shuffle([...network.alive]).slice(0, size);
  const before = first.reduce((sum, { participant }) => sum + participant.lookups(), 0);
  await clock.settle(Promise.all(first.map(enrol)));
  await clock.run(SETTLE_MS);
  const joining = (meter.payload + meter.control + lookups() - begun - before) / size;
  // One publication forms the tree and the mesh's state; it is not counted.
  void chance.pick([...group]).participant.publish(topic, new Uint8Array(PAYLOAD_BYTES));
  await clock.run(SETTLE_MS);

  meter.reset();
  const lookedUp = lookups();
  const sent: Promise<Sent>[] = [];
  for (let i = 0; i < publications; i += 1) {
    const members = [...group].filter((member) => member.alive && member.joined.has(topic));
    if (members.length > 1) {
      const publisher = chance.pick(members);
      const at = clock.now();
      const expected = members.filter((member) => member !== publisher);
      const publishing = publisher.participant.publish(topic, new Uint8Array(PAYLOAD_BYTES));
      sent.push(
        publishing.then((id) => {
          began.set(id, at);
          return { id, expected };
        }),
      );
    }
    await clock.run(INTERVAL_MS);
  }
  await clock.run(DEADLINE_MS);
  meter.lookups(lookups() - lookedUp);

  let wanted = 0;
  const delays: number[] = [];
  const settled = await clock.settle(Promise.all(sent));
  for (const { id, expected } of settled) {
    const times = arrivals.get(id);
    for (const member of expected) {
      const at = times?.get(member);
      if (at !== undefined && at - began.get(id)! <= DEADLINE_MS) {
        delays.push(at - began.get(id)!);
        wanted += 1;
      } else if (member.alive) {
        wanted += 1;
      }
    }
  }
  delays.sort((a, b) => a - b);
  const at = (share: number) =>
    delays[Math.min(delays.length - 1, Math.floor(delays.length * share))] ?? NaN;
  const { payload, control, bytes } = meter;
  network.onReplaced = () => undefined;
  for (const { participant } of group) participant.leave(topic);
  await clock.run(SETTLE_MS);
  return {
    group: size,
    ratio: delays.length / wanted,
    payload: payload / delays.length,
    control: control / delays.length,
    bytes: bytes / delays.length,
    latency: [at(0.5), at(0.95), at(0.99)],
    joining,
  };
}
