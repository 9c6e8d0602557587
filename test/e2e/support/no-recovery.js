// In the place of tiny-secp256k1 in pages, until the protocol's vouchers do without it: pages of the tests
// pay nobody.
const fail = () => {
  throw new Error('there is no recovery of keys in pages yet');
};
export { fail as isPoint, fail as pointCompress, fail as recover, fail as verify };
