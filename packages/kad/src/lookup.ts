import { groupsOf } from './address-group.js';
import type { Clock } from './clock.js';
import type { Contact } from './contact.js';
import { KadError } from './errors.js';
import { type NodeId, compareDistance } from './node-id.js';

/** What one node answered to a lookup's question. */
export interface LookupAnswer<V> {
  /** Contacts closer to the target, as the node knows them. */
  readonly contacts: readonly Contact[];
  /** What was looked for, when the node has it; this ends the lookup. */
  readonly value?: V;
}

/** Is told what happens in a lookup, as it happens. It must not throw. */
export interface LookupObserver {
  /** A question goes out. `path` counts the disjoint paths from 0, `depth` the steps from us. */
  asked?(contact: Contact, path: number, depth: number): void;
  /** An answer came. `named` contacts were in it. */
  answered?(contact: Contact, named: readonly Contact[], hasValue: boolean): void;
  /**
   * No usable answer came. `namedBy` told us of the contact; undefined: we knew it ourselves. Of
   * those that the lookup did not wait for, this may come after its end.
   */
  failed?(contact: Contact, namedBy: Contact | undefined, error: unknown): void;
  /** The lookup is over. */
  finished?(result: LookupResult<unknown>): void;
}

/** What a lookup needs. */
export interface LookupOptions<V> {
  readonly target: NodeId;
  readonly own: NodeId;
  readonly seeds: readonly Contact[];
  readonly k: number;
  /** Questions under way at one time, over all paths; every path has at least one. */
  readonly alpha: number;
  /** Disjoint paths (S/Kademlia, section 4.3): no node is asked by two of them. Default 1. */
  readonly paths?: number;
  /** The most candidates of one address group on a path. Default: no limit. */
  readonly perGroup?: number;
  /**
   * A question that has had no answer for this many milliseconds no longer keeps another from being
   * asked, nor the lookup from its end when k others have answered. Needs `clock`. Default: every
   * question is waited for.
   */
  readonly patienceMs?: number;
  readonly clock?: Clock;
  /** Ends the lookup before its time when it has done what it was for. */
  readonly enough?: () => boolean;
  /** Whether a contact that was named to us may be asked. That of the target always may. */
  readonly admit?: (contact: Contact) => boolean;
  readonly observer?: LookupObserver;
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

/** What became of a node, for all paths together. */
interface Inquiry {
  readonly contact: Contact;
  readonly depth: number;
  state: 'asked' | 'late' | 'answered' | 'failed';
}

interface Candidate {
  readonly contact: Contact;
  readonly depth: number;
  readonly namedBy: Contact | undefined;
}

/** One of the disjoint paths: what it was told, closest first, and what it waits for. */
class Path {
  readonly candidates: Candidate[] = [];
  private readonly known = new Set<NodeId>();
  /** Contacts of each address group among the candidates. */
  private readonly groups = new Map<string, number>();
  /** Questions under way that count against alpha. */
  running = 0;

  constructor(
    readonly number: number,
    private readonly options: {
      own: NodeId;
      target: NodeId;
      limit: number;
      perGroup: number;
      admit: ((contact: Contact) => boolean) | undefined;
    },
  ) {}

  add(contact: Contact, depth: number, namedBy: Contact | undefined): void {
    const { own, target, limit, perGroup, admit } = this.options;
    const { nodeId } = contact;
    if (nodeId === own || contact.addresses.length === 0 || this.known.has(nodeId)) return;
    // Whoever is looked for by its ID is asked, whatever is thought of it.
    const wanted = nodeId === target;
    if (!wanted && namedBy !== undefined && admit !== undefined && !admit(contact)) return;
    const groups = perGroup === Infinity ? [] : groupsOf(contact);
    // Nodes behind one tunnel are of one group, and each has to be found.
    if (!wanted && groups.some((group) => (this.groups.get(group) ?? 0) >= perGroup)) return;
    const { candidates } = this;
    let low = 0;
    let high = candidates.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareDistance(candidates[middle]!.contact.nodeId, nodeId, target) < 0) low = middle + 1;
      else high = middle;
    }
    // What goes is the farthest, not what came last: a liar can't keep closer nodes out.
    if (low >= limit) return;
    this.known.add(nodeId);
    for (const group of groups) this.groups.set(group, (this.groups.get(group) ?? 0) + 1);
    candidates.splice(low, 0, { contact, depth, namedBy });
    if (candidates.length > limit) candidates.length = limit;
  }
}

/** The most candidates that one lookup keeps, whatever it is told. */
const MAX_CANDIDATES = 1024;
/** The most questions that one lookup asks: a liar may always know somebody closer. */
const MAX_QUESTIONS = 1024;

/**
 * The iterative lookup of Kademlia (section 2.3): ask the alpha closest nodes known for closer ones,
 * until the k closest have answered. With `paths` above 1, the lookup of S/Kademlia (section 4.3):
 * the seeds are dealt out to that many paths, each of which follows only what was told to it, and no
 * node is asked twice, so that a liar spoils one path alone.
 *
 * @throws KadError KAD_ABORTED when the signal is.
 */
export function iterativeLookup<V>(options: LookupOptions<V>): Promise<LookupResult<V>> {
  const { target, own, k, ask, signal, observer, clock, patienceMs } = options;
  const count = Math.max(1, options.paths ?? 1);
  const perPath = Math.max(1, Math.floor(options.alpha / count));
  const frame = {
    own,
    target,
    limit: Math.ceil(MAX_CANDIDATES / count),
    perGroup: options.perGroup ?? Infinity,
    admit: options.admit,
  };
  const paths = Array.from({ length: count }, (_, i) => new Path(i, frame));
  options.seeds.forEach((seed, i) => paths[i % count]!.add(seed, 1, undefined));
  const inquiries = new Map<NodeId, Inquiry>();
  let messages = 0;
  let running = 0;
  let late = 0;
  let answered = 0;
  let found: { value: V; holder: Contact } | undefined;

  /** The closest candidate of a path that nobody has asked, if it is among its k closest. */
  const next = (path: Path): Candidate | undefined => {
    let closer = 0;
    for (const candidate of path.candidates) {
      const inquiry = inquiries.get(candidate.contact.nodeId);
      if (inquiry === undefined) return candidate;
      const counts = inquiry.state === 'asked' || inquiry.state === 'answered';
      if (counts && (closer += 1) >= k) return undefined;
    }
    return undefined;
  };

  const result = (): LookupResult<V> => {
    const replied = [...inquiries.values()]
      .filter(({ state }) => state === 'answered')
      .sort((a, b) => compareDistance(a.contact.nodeId, b.contact.nodeId, target))
      .slice(0, k);
    return {
      contacts: replied.map(({ contact }) => contact),
      hops: replied[0]?.depth ?? 0,
      messages,
      ...(found ?? {}),
    };
  };

  return new Promise((resolve, reject) => {
    let over = false;
    const finish = () => {
      over = true;
      signal?.removeEventListener('abort', onAbort);
      const made = result();
      observer?.finished?.(made);
      resolve(made);
    };
    const onAbort = () => {
      over = true;
      reject(new KadError('KAD_ABORTED', 'the call was aborted', { cause: signal?.reason }));
    };
    if (signal?.aborted === true) return onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });

    const question = (path: Path, candidate: Candidate) => {
      const { contact, depth, namedBy } = candidate;
      const inquiry: Inquiry = { contact, depth, state: 'asked' };
      inquiries.set(contact.nodeId, inquiry);
      messages += 1;
      running += 1;
      path.running += 1;
      observer?.asked?.(contact, path.number, depth);
      const timer =
        patienceMs === undefined
          ? undefined
          : clock?.setTimeout(() => {
              inquiry.state = 'late';
              late += 1;
              path.running -= 1;
              advance();
            }, patienceMs);
      const settle = (state: 'answered' | 'failed') => {
        if (timer !== undefined) clock?.clearTimeout(timer);
        running -= 1;
        if (inquiry.state === 'late') late -= 1;
        else path.running -= 1;
        inquiry.state = state;
        if (state === 'answered') answered += 1;
      };
      ask(contact).then(
        ({ contacts, value }) => {
          settle('answered');
          // No honest node names more than k; the rest of a longer list is not looked at.
          const named = value === undefined ? contacts.slice(0, k) : [];
          if (!over) observer?.answered?.(contact, named, value !== undefined);
          if (value !== undefined) found ??= { value, holder: contact };
          for (const other of named) path.add(other, depth + 1, contact);
          advance();
        },
        (error: unknown) => {
          settle('failed');
          observer?.failed?.(contact, namedBy, error);
          advance();
        },
      );
    };

    const advance = () => {
      if (over) return;
      if (found !== undefined || options.enough?.() === true) return finish();
      for (const path of paths) {
        while (path.running < perPath && messages < MAX_QUESTIONS) {
          const candidate = next(path);
          if (candidate === undefined) break;
          question(path, candidate);
        }
      }
      // Who is late is waited for only when without it there would be too few.
      if (running === 0 || (running === late && answered >= k)) finish();
    };
    advance();
  });
}
