/** What a lookup found, in the terms of the system's own metric. */
export interface PeerLookup {
  /** Where in the ID space was looked, in hex. */
  readonly target: string;
  /** IDs of the nodes found, in hex, in any order. */
  readonly found: readonly string[];
  /** Questions asked. */
  readonly messages: number;
}

/** One node of a system under test. */
export interface PeerNode {
  /** Where the node is in the ID space, in hex. */
  readonly id: string;
  /** What another node joins by. */
  readonly address: string;
  /** Find the nodes closest to something random. */
  lookup(random: Uint8Array): Promise<PeerLookup>;
  stop(): Promise<void>;
}

/** A DHT as the benchmark sees it. */
export interface PeerSystem {
  /** Start a node and join; resolves when the system itself says that it is in. */
  start(bootstrap: string | undefined): Promise<PeerNode>;
}
