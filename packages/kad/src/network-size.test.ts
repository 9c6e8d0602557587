import { expect, it } from 'vitest';
import { signContact } from './contact.js';
import { Identity } from './identity.js';
import { estimateNodes } from './network-size.js';
import { compareDistance } from './node-id.js';

it('estimates the size of a network near the truth, and never below what is known', () => {
  const contacts = Array.from({ length: 2000 }, () =>
    signContact(Identity.generate(), { addresses: [], sequence: 1 }),
  );
  const own = contacts[0]!.nodeId;
  const nearest = contacts
    .slice(1)
    .sort((a, b) => compareDistance(a.nodeId, b.nodeId, own))
    .slice(0, 20);
  // The 20th nearest is at 20/2000 of the space, give or take: a factor of 4 is beyond six sigma.
  expect(estimateNodes(own, nearest)).toBeGreaterThan(500);
  expect(estimateNodes(own, nearest)).toBeLessThan(8000);
  expect(estimateNodes(own, contacts.slice(1, 4))).toBeGreaterThanOrEqual(3);
  expect(estimateNodes(own, [])).toBe(0);
});
