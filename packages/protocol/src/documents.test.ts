import { Identity } from '@granary/kad';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalBytes } from './canonical.js';
import {
  type ContractTerms,
  acceptContract,
  completeContract,
  contractHash,
  parseContract,
  parseProposal,
  proposeContract,
} from './contract.js';
import { toHex } from './hex.js';
import { checkCountersignature, countersignReceipt, parseReceipt, signReceipt } from './receipt.js';
import { formatScheme, parseScheme } from './scheme.js';
import { parseToken, signToken } from './token.js';
import { parseTransferAnswer, parseTransferRequest } from './transfer-messages.js';

const renter = Identity.generate();
const farmer = Identity.generate();
const other = Identity.generate();
const key = (identity: Identity) => toHex(identity.publicKey);
const who = (identity: Identity) => ({ nodeId: identity.nodeId, publicKey: key(identity) });

const terms: ContractTerms = {
  version: 1,
  renter: renter.nodeId,
  renterKey: key(renter),
  farmer: farmer.nodeId,
  farmerKey: key(farmer),
  shardHash: 'ab'.repeat(32),
  shardSize: 1000,
  begin: 1_000_000,
  end: 2_000_000,
  currency: 'credit',
  storagePrice: '12',
  egressPrice: '0',
  auditRoot: null,
  auditCount: 0,
  channel: null,
};

describe('contracts', () => {
  it('are in force when both have signed', () => {
    const proposal = proposeContract(renter, terms);
    expect(parseProposal(JSON.parse(JSON.stringify(proposal)))).toEqual(proposal);
    const contract = acceptContract(farmer, proposal);
    expect(parseContract(JSON.parse(JSON.stringify(contract)))).toEqual(contract);
    expect(completeContract(proposal, contract.farmerSignature)).toEqual(contract);
  });

  it('have one hash however their fields are ordered', () => {
    const reversed = Object.fromEntries(Object.entries(terms).reverse()) as ContractTerms;
    expect(contractHash(reversed)).toBe(contractHash(terms));
    expect(contractHash({ ...terms, shardSize: 1001 })).not.toBe(contractHash(terms));
  });

  it('do not survive a change of any field', () => {
    const contract = acceptContract(farmer, proposeContract(renter, terms));
    for (const field of Object.keys(terms) as (keyof ContractTerms)[]) {
      const value = terms[field];
      const changed =
        typeof value === 'number' ? value + 1 : typeof value === 'string' ? `${value}0` : 'x';
      const forged = { ...contract, terms: { ...terms, [field]: changed } };
      expect(() => parseContract(forged), field).toThrow();
    }
  });

  it('are refused when signed by the wrong party', () => {
    const byOther = { ...proposeContract(other, terms) };
    expect(() => parseProposal(byOther)).toThrow(/signature of node/);
    const proposal = proposeContract(renter, terms);
    const { farmerSignature } = acceptContract(other, proposal);
    expect(() => completeContract(proposal, farmerSignature)).toThrow(/signature of node/);
    const stolen = { ...terms, renterKey: key(other) };
    expect(() => parseProposal(proposeContract(other, stolen))).toThrow(/does not belong/);
  });

  it('are refused when they make no sense', () => {
    const bad = (change: Partial<ContractTerms>) => () =>
      parseProposal(proposeContract(renter, { ...terms, ...change }));
    expect(bad({ end: terms.begin })).toThrow(/ends before it begins/);
    expect(bad({ auditCount: 3 })).toThrow(/go together/);
    expect(bad({ shardSize: -1 })).toThrow(/shardSize/);
    expect(bad({ shardSize: 1.5 })).toThrow(/shardSize/);
    expect(bad({ storagePrice: '1.5' })).toThrow(/decimal integer/);
    expect(bad({ storagePrice: '01' })).toThrow(/decimal integer/);
    expect(() => parseProposal({ terms, renterSignature: 'zz' })).toThrow(/renterSignature/);
    expect(() => parseProposal(null)).toThrow(/contract proposal/);
  });
});

describe('tokens', () => {
  const body = {
    contract: 'cd'.repeat(32),
    renter: renter.nodeId,
    renterKey: key(renter),
    farmer: farmer.nodeId,
    direction: 'upload' as const,
    offset: 0,
    length: 10,
    expires: 5000,
    nonce: '00'.repeat(16),
  };
  const expected = { farmer: farmer.nodeId, direction: 'upload' as const, now: 4000 };

  it('are taken as signed', () => {
    const token = signToken(renter, body);
    expect(parseToken(JSON.parse(JSON.stringify(token)), expected)).toEqual(token);
  });

  it('are refused for another farmer, direction or time, or by another renter', () => {
    const token = signToken(renter, body);
    expect(() => parseToken(token, { ...expected, farmer: other.nodeId })).toThrow(
      /another farmer/,
    );
    expect(() => parseToken(token, { ...expected, direction: 'delete' })).toThrow(/not delete/);
    expect(() => parseToken(token, { ...expected, now: 5000 })).toThrow(/expired/);
    const eternal = signToken(renter, { ...body, expires: 1e13 });
    expect(() => parseToken(eternal, expected)).toThrow(/too long/);
    expect(() => parseToken(signToken(other, body), expected)).toThrow(/signature/);
    const longer = { ...token, body: { ...body, length: 11 } };
    expect(() => parseToken(longer, expected)).toThrow(/signature/);
  });
});

describe('receipts', () => {
  const body = {
    contract: 'ef'.repeat(32),
    direction: 'download' as const,
    bytes: 77,
    token: '11'.repeat(16),
    time: 9,
  };
  const expected = { contract: body.contract, direction: body.direction, token: body.token };

  it('are signed by both', () => {
    const receipt = signReceipt(farmer, body);
    expect(parseReceipt(JSON.parse(JSON.stringify(receipt)), who(farmer), expected)).toEqual(
      receipt,
    );
    const signature = countersignReceipt(renter, receipt);
    expect(() => checkCountersignature(receipt, who(renter), signature)).not.toThrow();
    expect(() => checkCountersignature(receipt, who(other), signature)).toThrow(/not valid/);
  });

  it('are refused when they are about something else or forged', () => {
    const receipt = signReceipt(farmer, body);
    const about = (change: object) => () =>
      parseReceipt(receipt, who(farmer), { ...expected, ...change });
    expect(about({ contract: '00'.repeat(32) })).toThrow(/another transfer/);
    expect(about({ direction: 'delete' })).toThrow(/another transfer/);
    expect(about({ token: '22'.repeat(16) })).toThrow(/another transfer/);
    const forged = { ...receipt, body: { ...body, bytes: 78 } };
    expect(() => parseReceipt(forged, who(farmer), expected)).toThrow(/not valid/);
  });

  it('can not be made out of a token: labels keep kinds apart', () => {
    const asToken = signToken(farmer, body as never);
    const receipt = { body, farmerSignature: asToken.signature };
    expect(() => parseReceipt(receipt, who(farmer), expected)).toThrow(/not valid/);
  });
});

describe('transfer messages', () => {
  it('never throw anything but ProtocolError, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json().map((j) => `{"type":"upload","x":${j}}`),
        ),
        (text) => {
          for (const parse of [parseTransferRequest, parseTransferAnswer]) {
            try {
              parse(text);
            } catch (error) {
              expect((error as Error).name).toBe('ProtocolError');
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('are refused with unknown fields or over the limit', () => {
    expect(parseTransferRequest('{"type":"cancel"}')).toEqual({ type: 'cancel' });
    expect(() => parseTransferRequest('{"type":"cancel","more":1}')).toThrow(/transfer request/);
    expect(() => parseTransferRequest(`"${'x'.repeat(70_000)}"`)).toThrow(/over 65536/);
  });
});

it('writes canonical JSON as RFC 8785 has it', () => {
  const text = Buffer.from(canonicalBytes({ b: [1e21, 0.1, '\u20ac\n'], a: null })).toString();
  expect(text).toBe('{"a":null,"b":[1e+21,0.1,"€\\n"]}');
});

it('reads and writes schemes', () => {
  expect(parseScheme('4/6/10/12')).toEqual({ k: 4, repair: 6, success: 10, n: 12 });
  expect(formatScheme(parseScheme('29/35/65/80'))).toBe('29/35/65/80');
  for (const bad of ['4/6/10', '0/1/1/1', '4/3/10/12', '4/6/13/12', '4/6/10/257', 'a/b/c/d', '']) {
    expect(() => parseScheme(bad), bad).toThrow(/redundancy scheme/);
  }
});
