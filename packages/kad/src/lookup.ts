import type { Contact } from './contact.js';
import { throwIfAborted } from './errors.js';
import { type NodeId, distance } from './node-id.js';

/** What one node answered to a lookup's question. */
export interface LookupAnswer<V> {
  /** Contacts closer to the target, as the node knows them. */
  readonly contacts: readonly Contact[];
  /** What was looked for, when the node has it; this ends the lookup. */
  readonly value?: V;
}

/** What a lookup needs. */
export interface LookupOptions<V> {
  readonly target: NodeId;
  readonly own: NodeId;
  readonly seeds: readonly Contact[];
  readonly k: number;
  readonly alpha: number;
  /** Ask one node. A rejection means that it did not answer as it should. */
  readonly ask: (contact: Contact) => Promise<LookupAnswer<V>>;
  readonly signal?: AbortSignal;
}

/** What a lookup found. */
export interface LookupResult<V> {
  /** The closest nodes that answered, closest first, at most k. */
  readonly contacts: Contact[];
  readonly value?: V;
  /** The node that had the value. */
  readonly holder?: Contact;
  /** Steps from us to the closest node found (1: a seed). 0 when nobody answered. */
  readonly hops: number;
  /** Questions asked. */
  readonly messages: number;
}

interface Candidate {
  readonly contact: Contact;
  readonly distance: string;
  readonly depth: number;
  state: 'new' | 'asked' | 'answered' | 'failed';
}

/** The most candidates that one lookup keeps, whatever it is told. */
const MAX_CANDIDATES = 1024;
/** The most questions that one lookup asks: a liar may always know somebody closer. */
const MAX_QUESTIONS = 1024;

/**
 * The iterative lookup of Kademlia (section 2.3): ask the alpha closest nodes known for closer ones,
 * until the k closest have answered.
 */
export async function iterativeLookup<V>(options: LookupOptions<V>): Promise<LookupResult<V>> {
  const { target, own, k, alpha, ask, signal } = options;
  const candidates: Candidate[] = [];
  const known = new Set<NodeId>([own]);
  const add = (contacts: readonly Contact[], depth: number) => {
    for (const contact of contacts) {
      if (known.has(contact.nodeId) || contact.addresses.length === 0) continue;
      known.add(contact.nodeId);
      const entry = { contact, distance: distance(contact.nodeId, target), depth };
      candidates.push({ ...entry, state: 'new' });
    }
    candidates.sort((a, b) => (a.distance < b.distance ? -1 : 1));
    // What goes is the farthest, not what came last: a liar can't keep closer nodes out.
    if (candidates.length > MAX_CANDIDATES) candidates.length = MAX_CANDIDATES;
  };
  add(options.seeds, 1);

  const running = new Set<Promise<void>>();
  let messages = 0;
  let found: { value: V; holder: Contact } | undefined;

  const question = async (candidate: Candidate) => {
    candidate.state = 'asked';
    messages += 1;
    try {
      const { contacts, value } = await ask(candidate.contact);
      candidate.state = 'answered';
      if (value !== undefined) found ??= { value, holder: candidate.contact };
      // No honest node names more than k; the rest of a longer list is not looked at.
      else add(contacts.slice(0, k), candidate.depth + 1);
    } catch {
      candidate.state = 'failed';
    }
  };

  for (;;) {
    throwIfAborted(signal);
    if (found !== undefined) break;
    const closest = candidates.filter(({ state }) => state !== 'failed').slice(0, k);
    const next = closest.find(({ state }) => state === 'new');
    if (next !== undefined && running.size < alpha && messages < MAX_QUESTIONS) {
      const task: Promise<void> = question(next).finally(() => running.delete(task));
      running.add(task);
    } else if (running.size > 0) {
      await Promise.race(running);
    } else {
      break;
    }
  }

  const answered = candidates.filter(({ state }) => state === 'answered').slice(0, k);
  return {
    contacts: answered.map(({ contact }) => contact),
    hops: answered[0]?.depth ?? 0,
    messages,
    ...(found ?? {}),
  };
}
