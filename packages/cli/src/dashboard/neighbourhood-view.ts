import {
  type Contact,
  type KademliaNode,
  type PeerWatch,
  compareDistance,
  estimateNodes,
} from '@granary/kad';
import { MAX_PEERS, type Neighbourhood, type PeerView } from '@granary/web';

/** Pings at one time while somebody looks, and how often each peer gets one, in milliseconds. */
const PROBES = 8;
const PROBE_EVERY_MS = 8_000;
/** Those who are gone have at most this share of a message. */
const MAX_GONE = MAX_PEERS / 4;

/** What a node sees of the DHT, the nearest first; asks some peers whether they are there. */
export function neighbourhoodView(node: KademliaNode, watch: PeerWatch): Neighbourhood {
  void watch.probe(PROBES, PROBE_EVERY_MS);
  const own = node.identity.nodeId;
  const { k } = node.options;
  const nearer = (a: { contact: Contact }, b: { contact: Contact }) =>
    compareDistance(a.contact.nodeId, b.contact.nodeId, own);
  const alive = node.contacts().map((contact) => watch.vitals(contact));
  const gone = watch.gone
    .filter(({ contact }) => node.routingTable.get(contact.nodeId) === undefined)
    .slice(-MAX_GONE);
  const shown = [...alive.sort(nearer).slice(0, MAX_PEERS - gone.length), ...gone];
  return {
    nodeId: own,
    k,
    known: alive.length,
    estimate: Math.round(estimateNodes(own, node.routingTable.closest(own, k))),
    peers: shown.map(({ contact, state, rttMs, since }): PeerView => ({
      nodeId: contact.nodeId,
      address: contact.addresses[0]?.slice(0, 300) ?? null,
      state,
      rttMs: rttMs ?? null,
      since: since === 0 ? null : since,
    })),
  };
}
