import type { Member, PubSubNetwork } from './network.js';

/** What one protocol did for one group. */
export interface GroupFigures {
  /** Deliveries, of those that there should have been, 0 to 1. */
  readonly ratio: number;
  /** Deliveries counted. */
  readonly deliveries: number;
  /** Requests for each delivery; each has one answer, in all protocols alike. */
  readonly payload: number;
  readonly control: number;
  /** Requests and answers. */
  readonly bytes: number;
  /** Milliseconds from the publication to a delivery: median, 95th and 99th percentile. */
  readonly latency: readonly [number, number, number];
  /** Requests for each node, until all had joined the group and half a minute more. */
  readonly joining: number;
}

const INTERVAL_MS = 1_000;
const SETTLE_MS = 30_000;
const DEADLINE_MS = 15_000;
const PAYLOAD_BYTES = 256;

/**
 * Let a group form, let members publish, one a second, and count. A publication should reach every
 * member that had joined when it was made, but for its publisher and for who crashes within 15
 * seconds after it without having it. In place of a member that crashes a node that has just come
 * joins the group.
 */
export async function measureGroup(
  network: PubSubNetwork,
  size: number,
  publications: number,
): Promise<GroupFigures> {
  const { meter, chance, simulation } = network;
  const { clock } = simulation;
  const topic = `group of ${size}`;
  const arrivals = new Map<string, Map<Member, number>>();
  const group = new Set<Member>();
  const joined = new Set<Member>();
  const crashed = new Map<Member, number>();
  let lookupsOfCrashed = 0;
  let vacant = 0;
  const lookups = () =>
    [...group].reduce((sum, { participant }) => sum + participant.lookups(), lookupsOfCrashed);

  const enrol = async (member: Member) => {
    group.add(member);
    await member.participant.join(topic, (id) => {
      let times = arrivals.get(id);
      if (times === undefined) arrivals.set(id, (times = new Map()));
      if (!times.has(member)) times.set(member, clock.now());
    });
    if (!crashed.has(member)) joined.add(member);
  };
  network.onChange = (member, there) => {
    if (!there) {
      crashed.set(member, clock.now());
      if (!group.delete(member)) return;
      joined.delete(member);
      lookupsOfCrashed += member.participant.lookups();
      vacant += 1;
    } else if (vacant > 0) {
      vacant -= 1;
      lookupsOfCrashed -= member.participant.lookups();
      void enrol(member);
    }
  };

  meter.reset();
  const first = chance.shuffle(network.alive).slice(0, size);
  const before = first.reduce((sum, { participant }) => sum + participant.lookups(), 0);
  await clock.settle(Promise.all(first.map(enrol)));
  await clock.run(SETTLE_MS);
  const joining = (meter.payload + meter.control + lookups() - before) / size;
  // By the first publication a tree or a mesh takes its form; it is not counted.
  if (joined.size > 0) void publish(chance.pick([...joined]));
  await clock.run(SETTLE_MS);

  function publish(publisher: Member): Promise<string> {
    return publisher.participant.publish(topic, new Uint8Array(PAYLOAD_BYTES));
  }

  meter.reset();
  const lookedUp = lookups();
  const sent: Promise<{ id: string; at: number; expected: Member[] }>[] = [];
  for (let i = 0; i < publications; i += 1) {
    const members = [...joined];
    if (members.length > 1) {
      const publisher = chance.pick(members);
      const at = clock.now();
      const expected = members.filter((member) => member !== publisher);
      sent.push(publish(publisher).then((id) => ({ id, at, expected })));
    }
    await clock.run(INTERVAL_MS);
  }
  await clock.run(DEADLINE_MS);
  meter.lookups(lookups() - lookedUp);
  const { payload, control, bytes } = meter;

  let wanted = 0;
  const delays: number[] = [];
  for (const { id, at, expected } of await clock.settle(Promise.all(sent))) {
    const times = arrivals.get(id);
    for (const member of expected) {
      const delay = (times?.get(member) ?? Infinity) - at;
      const came = delay <= DEADLINE_MS;
      if (came) delays.push(delay);
      if (came || (crashed.get(member) ?? Infinity) - at > DEADLINE_MS) wanted += 1;
    }
  }
  delays.sort((a, b) => a - b);
  const at = (share: number) =>
    delays[Math.min(delays.length - 1, Math.floor(delays.length * share))] ?? NaN;
  network.onChange = () => undefined;
  for (const { participant } of group) participant.leave(topic);
  await clock.run(SETTLE_MS);
  return {
    ratio: delays.length / wanted,
    deliveries: delays.length,
    payload: payload / delays.length,
    control: control / delays.length,
    bytes: bytes / delays.length,
    latency: [at(0.5), at(0.95), at(0.99)],
    joining,
  };
}
