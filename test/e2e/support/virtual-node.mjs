// A farmer or a renter in a process of its own, on a clock that its parent sets. Everything else is the
// real thing. Farmers write down, in words of their own, what they were told of transfers, audits,
// renewals and deletions, so that a test can reckon up what they should have been paid.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { Identity, loadIdentity, saveIdentity, silentLogger, systemClock } from '@granary/kad';
import { evmSettlement } from '@granary/payments';
import { Farmer } from '@granary/farmer';
import { Renter, RenterKeys } from '@granary/renter';

const options = JSON.parse(process.argv[2]);
let offset = options.offset;
const clock = { ...systemClock, now: () => Date.now() + offset };
const evm = (identity) =>
  evmSettlement({
    ...options.chain,
    identity,
    confirmations: 2,
    challengeMs: 3 * 24 * 3600 * 1000,
    pollMs: 20,
    timeoutMs: 30_000,
  });
let handlers;
// Whether a renter that can refuse to sign receipts does so.
let refusing = false;

if (options.role === 'farmer') {
  const file = join(options.directory, 'identity.json');
  const identity = await loadIdentity(file).catch(async () => {
    await saveIdentity(file, Identity.generate());
    return loadIdentity(file);
  });
  const farmer = await Farmer.open({
    directory: options.directory,
    identity,
    host: '127.0.0.1',
    port: options.port ?? 0,
    bootstrap: options.bootstrap,
    quotaBytes: 1e9,
    policy: { storagePrice: options.storagePrice, egressPrice: options.egressPrice },
    payments: { settlement: await evm(identity), creditLimit: BigInt(options.creditLimit) },
    logger: silentLogger,
    clock,
  });
  const { payee } = farmer;
  const note = (event) =>
    appendFileSync(join(options.directory, 'events.jsonl'), `${JSON.stringify(event)}\n`);
  for (const [name, event] of [
    ['countersigned', (renter, terms, receipt) => ({ renter, terms, receipt })],
    ['audited', (renter, time) => ({ renter, time })],
    ['renewed', (renter, renewal) => ({ renter, renewal })],
    ['ended', (renter, contract, why) => ({ renter, contract, why })],
  ]) {
    const real = payee[name].bind(payee);
    payee[name] = async (...args) => {
      await real(...args);
      note({ event: name, ...event(...args) });
    };
  }
  if (options.greedy) {
    // It claims ten times what it has served.
    const { signClaim } = await import('@granary/protocol');
    const real = payee.claim.bind(payee);
    payee.claim = (...args) => {
      const { body } = real(...args);
      return signClaim(identity, { ...body, claimed: String(10n * BigInt(body.claimed) + 1000n) });
    };
  }
  handlers = {
    collect: async () => {
      const { redeemed, failures } = await payee.collect(true);
      await payee.book.sweep();
      return { redeemed: redeemed.toString(), failures };
    },
    stats: () => farmer.stats(),
  };
  process.send({
    ready: {
      nodeId: identity.nodeId,
      address: farmer.address,
      publicKey: Buffer.from(identity.publicKey).toString('hex'),
    },
  });
} else {
  if (options.refuseToSign) {
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data, ...rest) {
      if (typeof data === 'string' && data.startsWith('{"type":"countersign"') && refusing) return;
      return send.call(this, data, ...rest);
    };
  }
  const keys = RenterKeys.fromEntropy(Buffer.from(options.entropy, 'hex'));
  const renter = await Renter.open({
    directory: options.directory,
    keys,
    bootstrap: options.bootstrap,
    logger: silentLogger,
    clock,
    settlement: await evm(keys.identity),
    settings: {
      scheme: { k: 2, repair: 3, success: 4, n: 4 },
      segmentSize: 256 * 1024,
      durationMs: options.durationMs,
      maxStoragePrice: 10n ** 30n,
      maxEgressPrice: 10n ** 30n,
      hedgeMs: 2000,
      tailMs: 2000,
      extraReads: 0,
      paying: { budget: null, trust: 0n, advance: 0n, deposit: BigInt(options.deposit) },
    },
  });
  handlers = {
    put: async (name, size) => {
      const bytes = Buffer.alloc(size, `${name} `);
      const stream = (async function* () {
        yield bytes;
      })();
      const { manifest } = await renter.put({ bucket: 'month', name }, { kind: 'stream', stream });
      return manifest.size;
    },
    get: async (name) => {
      let size = 0;
      for await (const part of renter.get({ bucket: 'month', name })) size += part.length;
      return size;
    },
    delete: async (name) => renter.delete({ bucket: 'month', name }),
    care: async () => renter.care({ auditAll: true }),
    pay: async () => renter.pay(),
    farmersOf: async (name) => (await renter.stat({ bucket: 'month', name })).farmers,
    promised: () =>
      Object.fromEntries(
        [...renter.payer.book.accounts()].map(({ peer, currency }) => [
          peer,
          renter.payer.book.promised(peer, currency).toString(),
        ]),
      ),
  };
  process.send({
    ready: {
      nodeId: keys.identity.nodeId,
      publicKey: Buffer.from(keys.identity.publicKey).toString('hex'),
    },
  });
}

process.on('message', ({ id, call, args }) => {
  if (call === 'clock') {
    offset = args[0];
    return process.send({ id, result: null });
  }
  if (call === 'refuse') {
    refusing = args[0];
    return process.send({ id, result: null });
  }
  Promise.resolve()
    .then(() => handlers[call](...args))
    .then(
      (result) => process.send({ id, result: result ?? null }),
      (error) => process.send({ id, error: `${error.code ?? ''} ${error.message}` }),
    );
});
process.on('disconnect', () => process.exit());
