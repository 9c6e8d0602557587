import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Clock,
  type Contact,
  Identity,
  silentLogger,
  systemClock,
  systemRandom,
} from '@granary/kad';
import {
  ACCOUNT_METHOD,
  type Contract,
  type ContractTerms,
  PAY_METHOD,
  type ReceiptBody,
  STATEMENT_METHOD,
  acceptContract,
  contractHash,
  countersignReceipt,
  proposeContract,
  signReceipt,
  toHex,
} from '@granary/protocol';
import {
  LmdbRows,
  Payee,
  Payer,
  type PayerLimits,
  PaymentBook,
  type Rows,
  type Settlement,
  type SignedTransfer,
  type StoredContract,
  defaultPayerLimits,
} from './index.js';

/** A clock that stands still until it is told to move. */
export class HandClock implements Clock {
  time = Date.UTC(2030, 0, 1);
  now(): number {
    return this.time;
  }
  setTimeout(run: () => void, ms: number): unknown {
    return systemClock.setTimeout(run, ms);
  }
  clearTimeout(handle: unknown): void {
    systemClock.clearTimeout(handle);
  }
}

/** What a {@link Pair} can be told. */
export interface PairOptions {
  readonly payerSettlement: Settlement;
  readonly payeeSettlement: Settlement;
  readonly limits?: Partial<PayerLimits>;
  readonly creditLimit?: bigint;
  readonly renter?: Identity;
  readonly farmer?: Identity;
  readonly clock?: HandClock;
}

/** A renter and a farmer with real books, that talk without a network. */
export class Pair {
  readonly clock: HandClock;
  readonly renter: Identity;
  readonly farmer: Identity;
  payer!: Payer;
  payee!: Payee;
  /** Contracts by hash, as the renter's store has them. */
  readonly contracts = new Map<string, Contract>();
  /** Shards by contract with the receipts of their uploads, as the farmer's store has them. */
  readonly held = new Map<string, StoredContract>();
  /** Receipts that the farmer's store keeps until they are in the book, by nonce. */
  readonly unbooked = new Map<string, SignedTransfer>();
  /** Done with every call on its way; throw to lose it. */
  onCall: (method: string, when: 'before' | 'after') => void | Promise<void> = () => undefined;
  wrapPayer: (rows: Rows) => Rows = (rows) => rows;
  wrapPayee: (rows: Rows) => Rows = (rows) => rows;
  private payeeDead = false;

  private constructor(
    readonly directory: string,
    private options: PairOptions,
  ) {
    this.clock = options.clock ?? new HandClock();
    this.renter = options.renter ?? Identity.generate();
    this.farmer = options.farmer ?? Identity.generate();
  }

  static async start(options: PairOptions): Promise<Pair> {
    const pair = new Pair(await mkdtemp(join(tmpdir(), 'granary-pair-')), options);
    pair.openPayer();
    pair.openPayee();
    return pair;
  }

  openPayer(name = 'payer.lmdb', limits: Partial<PayerLimits> = {}): void {
    const { payerSettlement } = this.options;
    this.payer = new Payer({
      identity: this.renter,
      book: new PaymentBook(this.wrapPayer(LmdbRows.open(join(this.directory, name))), this.clock),
      settlementFor: (currency) =>
        currency === payerSettlement.currency ? payerSettlement : undefined,
      contractOf: async (hash) => {
        const contract = this.contracts.get(hash);
        return contract && { contract };
      },
      call: (_peer, method, params) => this.call(method, params),
      limits: { ...defaultPayerLimits, ...this.options.limits, ...limits },
      clock: this.clock,
      random: systemRandom,
      logger: silentLogger,
    });
  }

  openPayee(): void {
    this.payee = new Payee({
      identity: this.farmer,
      book: new PaymentBook(this.wrapPayee(this.mortal('payee.lmdb')), this.clock),
      settlement: this.options.payeeSettlement,
      creditLimit: this.options.creditLimit ?? 100n,
      clock: this.clock,
      logger: silentLogger,
    });
  }

  /** Rows that take nothing any more while their owner is dead. */
  private mortal(name: string): Rows {
    const rows = LmdbRows.open(join(this.directory, name));
    return {
      get: (key) => rows.get(key),
      range: (prefix, from) => rows.range(prefix, from),
      transaction: async (work) => {
        if (this.payeeDead) throw new Error('killed');
        return rows.transaction(work);
      },
      close: () => rows.close(),
    };
  }

  async stop(): Promise<void> {
    await this.payer.close().catch(() => undefined);
    await this.payee.close().catch(() => undefined);
    await rm(this.directory, { recursive: true, force: true });
  }

  get farmerParty() {
    return { nodeId: this.farmer.nodeId, publicKey: toHex(this.farmer.publicKey) };
  }

  get renterParty() {
    return { nodeId: this.renter.nodeId, publicKey: toHex(this.renter.publicKey) };
  }

  get currency(): string {
    return this.options.payerSettlement.currency;
  }

  /** Store a shard: sign a contract, and the receipt for it on both sides. */
  async store(change: Partial<ContractTerms> = {}, both = true, flush = true): Promise<Contract> {
    const now = this.clock.now();
    const terms: ContractTerms = {
      version: 1,
      renter: this.renter.nodeId,
      renterKey: toHex(this.renter.publicKey),
      farmer: this.farmer.nodeId,
      farmerKey: toHex(this.farmer.publicKey),
      shardHash: toHex(systemRandom(32)),
      shardSize: 1_000_000,
      begin: now,
      end: now + 90 * 24 * 3600 * 1000,
      currency: this.currency,
      storagePrice: '1000000',
      egressPrice: '1000000',
      auditRoot: null,
      auditCount: 0,
      channel: null,
      ...change,
    };
    const contract = acceptContract(this.farmer, proposeContract(this.renter, terms));
    this.contracts.set(contractHash(terms), contract);
    await this.transfer(contract, 'upload', terms.shardSize, both, flush);
    return contract;
  }

  /**
   * A transfer that both sign for.
   *
   * @param both - whether the renter writes it down, too
   * @param flush - whether both have written it when the promise resolves; else they may be killed before
   */
  async transfer(
    { terms }: Contract,
    direction: ReceiptBody['direction'],
    bytes: number,
    both = true,
    flush = true,
  ): Promise<void> {
    const body: ReceiptBody = {
      contract: contractHash(terms),
      direction,
      bytes,
      token: toHex(systemRandom(16)),
      time: this.clock.now(),
    };
    const receipt = signReceipt(this.farmer, body);
    const signature = countersignReceipt(this.renter, receipt);
    const { contract } = body;
    if (direction === 'delete') {
      this.held.delete(contract);
    } else if (direction === 'upload') {
      this.held.set(contract, { contract, terms, signed: { receipt, renterSignature: signature } });
    }
    const signed = { renter: terms.renter, terms, receipt, renterSignature: signature };
    this.unbooked.set(body.token, signed);
    const written = [
      ...(both ? [this.payer.moved(terms.farmer, body, terms)] : []),
      ...(direction === 'delete' ? [this.payee.ended(terms.renter, contract, 'deleted')] : []),
      ...(direction === 'upload' ? [this.payee.stored(contract, terms, body.time)] : []),
      this.payee
        .countersigned(terms.renter, terms, receipt, signature)
        .then(() => this.unbooked.delete(body.token)),
    ];
    if (!flush) return void Promise.allSettled(written);
    const ends = await Promise.allSettled([...written, this.payer.flush(), this.payee.flush()]);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  /** The farmer is killed: what it has not written is gone. Then it is there again. */
  async killPayee(): Promise<void> {
    this.payeeDead = true;
    await this.payee.close();
    this.payeeDead = false;
    this.openPayee();
  }

  /** What a farmer does when it starts. */
  recover(): Promise<number> {
    const store = {
      all: () => this.held.values(),
      has: (contract: string) => this.held.has(contract),
      unbooked: () => [...this.unbooked.values()],
      booked: ({ receipt }: SignedTransfer) => this.unbooked.delete(receipt.body.token),
    };
    return this.payee.recover(store, new AbortController().signal);
  }

  /** An audit that is passed. @param both - whether the answer reaches the renter */
  async audit(both = true): Promise<void> {
    const time = this.clock.now();
    await this.payee.audited(this.renter.nodeId, time);
    if (both) await this.payer.audited(this.farmer.nodeId, time);
  }

  settle(ahead = 0n) {
    const { signal } = new AbortController();
    return this.payer.settle(this.farmerParty, this.currency, this.payee.terms, signal, ahead);
  }

  /** What both have, in whole units. */
  sums() {
    const { renter, farmer, currency } = this;
    return {
      promised: this.payer.book.promised(farmer.nodeId, currency),
      held: this.payee.book.promised(renter.nodeId, currency),
      claimed: BigInt(this.payee.claim(renter.nodeId, currency).body.claimed),
    };
  }

  private async call(method: string, params: unknown): Promise<unknown> {
    await this.onCall(method, 'before');
    const sender = { sender: this.renterParty as unknown as Contact };
    const sent: unknown = JSON.parse(JSON.stringify(params));
    const answer =
      method === ACCOUNT_METHOD
        ? await this.payee.answerAccount(sent, sender)
        : method === PAY_METHOD
          ? await this.payee.answerPay(sent, sender)
          : method === STATEMENT_METHOD
            ? await this.payee.answerStatement(sent, sender)
            : undefined;
    await this.onCall(method, 'after');
    return JSON.parse(JSON.stringify(answer)) as unknown;
  }
}
