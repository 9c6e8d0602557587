import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bucketIndex, distance } from '@granary/kad';
import { MAP_SIZE, mapLayout, positionOf } from './map-layout.js';

const id = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));

const middle = MAP_SIZE / 2;
const radiusOf = ({ x, y }: { x: number; y: number }) => Math.hypot(x - middle, y - middle);

it('puts each peer at its ID, in the ring of its k-bucket: the nearer by XOR, the nearer to the middle', () => {
  fc.assert(
    fc.property(id, fc.array(id, { minLength: 1, maxLength: 60 }), (nodeId, others) => {
      const peers = [...new Set(others)]
        .filter((other) => other !== nodeId)
        .map((other) => ({
          nodeId: other,
          address: null,
          state: 'alive' as const,
          rttMs: null,
          since: null,
        }));
      const { dots, wedges } = mapLayout({ nodeId, k: 20, known: 1, estimate: 1, peers });
      expect(dots).toHaveLength(peers.length);
      expect(wedges.reduce((sum, { contacts }) => sum + contacts, 0)).toBe(peers.length);
      for (const dot of dots) {
        expect(dot.bucket).toBe(bucketIndex(nodeId, dot.peer.nodeId));
        expect(radiusOf(dot)).toBeLessThan(middle);
        const angle = Math.atan2(dot.y - middle, dot.x - middle) / (2 * Math.PI) + 0.25;
        const off = Math.abs(((angle + 1) % 1) - positionOf(dot.peer.nodeId));
        expect(Math.min(off, 1 - off)).toBeLessThan(1e-6);
      }
      for (const a of dots) {
        for (const b of dots) {
          const nearer = distance(nodeId, a.peer.nodeId) < distance(nodeId, b.peer.nodeId);
          if (nearer) expect(radiusOf(a)).toBeLessThan(radiusOf(b) + 1e-6);
        }
      }
    }),
    { numRuns: 50 },
  );
});
