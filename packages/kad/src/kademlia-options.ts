/** Kademlia's parameters. Times are milliseconds. */
export interface KademliaOptions {
  /** Contacts in a k-bucket, and nodes that keep a value. */
  readonly k: number;
  /** Questions that a lookup has under way at one time. */
  readonly alpha: number;
  /** Disjoint paths of a lookup (S/Kademlia, section 4.3); 1 is plain Kademlia. */
  readonly paths: number;
  /** Length of the sibling list (S/Kademlia, section 4.2); 0 is plain Kademlia. */
  readonly siblings: number;
  /** The most contacts of one address group (such as a /24) in a k-bucket and on a lookup's path. */
  readonly perGroup: number;
  /** For one exchange of messages. */
  readonly timeoutMs: number;
  /**
   * A lookup's question that had no answer for this long no longer holds back another, nor the end when
   * enough have answered. It has to be longer than most answers take, with the making of a connection.
   */
  readonly patienceMs: number;
  /** A k-bucket that saw no lookup for this long is refreshed. */
  readonly refreshMs: number;
  /** The closest contacts are asked for their neighbours, and pinged, this often. */
  readonly siblingRefreshMs: number;
  /** A value that did not come in for this long is sent to the k closest again. */
  readonly republishMs: number;
  /** How long a value is kept after its publisher last sent it. */
  readonly expireMs: number;
  /** How long a value is kept where it was cached along a lookup's path. */
  readonly cacheMs: number;
  /** The publisher sends its values again after this. */
  readonly publishMs: number;
  /** How often the node looks what is due. */
  readonly maintenanceMs: number;
  /** The most requests answered at one time. */
  readonly maxConcurrent: number;
  /** A contact that was heard of within this time is not pinged to make room for another. */
  readonly staleMs: number;
  /** The most bytes of new values taken from one sender in an hour. */
  readonly senderBytes: number;
}

const MINUTE = 60 * 1000;
const HOUR = 60 * MINUTE;

/**
 * The parameters of the papers (Kademlia, sections 2 and 4; S/Kademlia, section 4), and limits; but
 * two questions at one time on each path instead of one, since that takes a quarter less time for some
 * six in a hundred more messages (docs/dht-evaluation.md).
 */
export const defaultKademliaOptions: KademliaOptions = {
  k: 20,
  alpha: 6,
  paths: 3,
  siblings: 40,
  perGroup: 2,
  timeoutMs: 5_000,
  patienceMs: 1_000,
  refreshMs: HOUR,
  siblingRefreshMs: 10 * MINUTE,
  republishMs: HOUR,
  expireMs: 24 * HOUR,
  cacheMs: HOUR,
  publishMs: 22 * HOUR,
  maintenanceMs: MINUTE,
  maxConcurrent: 1024,
  staleMs: 10 * MINUTE,
  senderBytes: 32 * 1024 * 1024,
};

/**
 * What differs behind a proxy such as Tor's, where an answer takes a second or two and a new
 * connection often five: what is only slow must not be taken for silent.
 */
export const proxiedKademliaOptions: Partial<KademliaOptions> = {
  timeoutMs: 10_000,
  patienceMs: 5_000,
};

/** What makes a node one of plain Kademlia, to compare with. */
export const plainKademliaOptions: Partial<KademliaOptions> = {
  alpha: 3,
  paths: 1,
  siblings: 0,
  perGroup: Infinity,
  patienceMs: Infinity,
  siblingRefreshMs: Infinity,
};
