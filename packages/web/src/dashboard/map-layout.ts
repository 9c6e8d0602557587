import { ID_BITS, bucketIndex } from '@granary/kad';
import type { Neighbourhood, PeerView } from '../messages/parts.js';

/** The picture is a square of this size, with us in its middle. */
export const MAP_SIZE = 200;
const CENTRE = MAP_SIZE / 2;
const OUTER = 94;
const INNER = 20;
/** Rings of their own; k-buckets nearer than these share the innermost. */
const MAX_RINGS = 10;

/** A peer's place in the picture. */
export interface PeerDot {
  readonly peer: PeerView;
  /** Its k-bucket, 0 to 255. */
  readonly bucket: number;
  readonly x: number;
  readonly y: number;
}

/** The part of the ID space that a k-bucket is for. */
export interface Wedge {
  readonly bucket: number;
  /** Whether nearer k-buckets are in it, too. */
  readonly andNearer: boolean;
  /** An SVG path. */
  readonly path: string;
  readonly contacts: number;
}

/** The picture of a neighbourhood. */
export interface MapLayout {
  readonly wedges: readonly Wedge[];
  readonly dots: readonly PeerDot[];
  /** From the middle to our own ID on the outermost circle. */
  readonly own: { readonly x: number; readonly y: number };
}

/** Where an ID is on the circle of all IDs: 0 to 1. */
export function positionOf(nodeId: string): number {
  return Number.parseInt(nodeId.slice(0, 13), 16) / 2 ** 52;
}

/** A point on a circle around the middle. @param position - 0 to 1, clockwise from the top */
export function pointAt(position: number, radius: number): { x: number; y: number } {
  const angle = position * 2 * Math.PI - Math.PI / 2;
  return { x: CENTRE + radius * Math.cos(angle), y: CENTRE + radius * Math.sin(angle) };
}

/**
 * The k-buckets as a picture. All IDs lie on a circle; the farthest k-bucket is the half of it that we
 * are not in, the next one the half of our half that we are not in, and so on. Each has a ring of its
 * own, the nearer in XOR distance the nearer to the middle, so that the distance is seen as well as the
 * place.
 */
export function mapLayout({ nodeId, peers }: Neighbourhood): MapLayout {
  const placed = peers
    .map((peer) => ({ peer, bucket: bucketIndex(nodeId, peer.nodeId) }))
    .filter(({ bucket }) => bucket >= 0);
  const nearest = Math.min(ID_BITS - 3, ...placed.map(({ bucket }) => bucket));
  const rings = Math.min(MAX_RINGS, ID_BITS - nearest);
  const width = (OUTER - INNER) / rings;
  const ringOf = (bucket: number) => Math.min(rings - 1, ID_BITS - 1 - bucket);
  const outerOf = (ring: number) => OUTER - ring * width;
  const wedges = Array.from({ length: rings }, (_, ring): Wedge => {
    const bucket = ID_BITS - 1 - ring;
    const andNearer = ring === rings - 1 && nearest < bucket;
    const parts = 2 ** (ring + 1);
    const mine = Math.floor(positionOf(nodeId) * parts);
    // The other half at this depth; the innermost ring, when it is shared, is our half, too.
    const [from, to] = andNearer
      ? [Math.floor(mine / 2) * 2, Math.floor(mine / 2) * 2 + 2]
      : [mine ^ 1, (mine ^ 1) + 1];
    return {
      bucket,
      andNearer,
      path: arc(from / parts, to / parts, outerOf(ring) - width + 1, outerOf(ring) - 1),
      contacts: placed.filter((one) => ringOf(one.bucket) === ring && one.peer.state === 'alive')
        .length,
    };
  });
  const dots = placed.map(({ peer, bucket }): PeerDot => {
    const radius = outerOf(ringOf(bucket)) - width / 2;
    return { peer, bucket, ...pointAt(positionOf(peer.nodeId), radius) };
  });
  return { wedges, dots, own: pointAt(positionOf(nodeId), OUTER) };
}

function arc(from: number, to: number, inner: number, outer: number): string {
  const large = to - from > 0.5 ? 1 : 0;
  const [a, b] = [pointAt(from, outer), pointAt(to, outer)];
  const [c, d] = [pointAt(to, inner), pointAt(from, inner)];
  const at = ({ x, y }: { x: number; y: number }) => `${x.toFixed(2)} ${y.toFixed(2)}`;
  return (
    `M${at(a)}A${outer} ${outer} 0 ${large} 1 ${at(b)}` +
    `L${at(c)}A${inner} ${inner} 0 ${large} 0 ${at(d)}Z`
  );
}
