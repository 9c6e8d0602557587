import type { PeerSystem } from './peer-system.js';

/** A system by name: what it is, and how a process that runs its nodes gets it. */
export interface SystemEntry {
  /** What it does to messages, for the table's notes. */
  readonly about: string;
  readonly load: () => Promise<PeerSystem>;
}

/** Everything that can be compared. A further transport of ours is a further row here. */
export const SYSTEMS: Readonly<Record<string, SystemEntry>> = {
  'granary-https': {
    about: 'TLS 1.3 and every message signed; k 20, alpha 6 over 3 paths',
    load: async () => (await import('./granary-system.js')).granaryHttps,
  },
  'dht-rpc': {
    about: 'UDP, neither signed nor encrypted; k 20, 10 at a time',
    load: async () => (await import('./dht-rpc-system.js')).dhtRpc,
  },
  '@libp2p/kad-dht': {
    about: 'TCP, Noise, Yamux: connections authenticated, messages not signed; k 20, alpha 10',
    load: async () => (await import('./libp2p-system.js')).libp2pKad,
  },
};
