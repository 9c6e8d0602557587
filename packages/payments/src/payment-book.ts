import type { Clock } from '@granary/kad';
import type {
  ContractTerms,
  ReadGrant,
  Receipt,
  ReceiptBody,
  TunnelReceipt,
  Voucher,
} from '@granary/protocol';
import { type Account, type Purpose, newAccount } from './account.js';
import { trafficCharge } from './amounts.js';
import { type Channel, promisedIn } from './channel.js';
import { type DayRow, dayOf } from './day.js';
import { PaymentError } from './errors.js';
import { isFree } from './free-terms.js';
import {
  type Period,
  type Position,
  accruePosition,
  egressPriceAt,
  extendPosition,
  openPosition,
  storageRate,
} from './position.js';
import type { RowWriter, Rows } from './rows.js';
import { type TunnelCount, type TunnelRow, unsignedCharge } from './tunnel-row.js';

/** A transfer that both have signed for. */
export interface ReceiptRow {
  /** In the order in which the farmer came to have them, from 1 on. */
  readonly number: number;
  readonly receipt: Receipt;
  readonly renterSignature: string;
}

/** Something that happened to a shard, to be written down: a step of {@link PaymentBook.record}. */
export interface BookStep {
  readonly peer: string;
  /** A shard is stored: its position begins. Which side the peer is, the contract, and since when. */
  readonly open?: {
    readonly side: 'renter' | 'farmer';
    readonly contract: string;
    readonly terms: ContractTerms;
    readonly since: number;
  };
  /** A transfer that both have signed for. */
  readonly receipt?: ReceiptBody;
  /** The signed receipt, for who is paid: it is numbered and kept as proof. */
  readonly keep?: Pick<ReceiptRow, 'receipt' | 'renterSignature'>;
  /** A contract whose storage stops to accrue: its shard was deleted, or is lost. */
  readonly ended?: { readonly contract: string; readonly why: 'deleted' | 'failed' };
}

/** What shows that a reader has had bytes of a shard, and that the renter has granted it that. */
export interface SharedProof {
  readonly grant: ReadGrant;
  /** The reader's signature on the receipt, in hex. */
  readonly readerSignature: string;
}

/**
 * A transfer that the renter has not signed for: it broke off before, or somebody read by the renter's
 * leave. What this side knows of it.
 */
export interface PendingRow {
  readonly body: ReceiptBody;
  /** Fine parts that it comes to. */
  readonly charge: bigint;
  /** Of a transfer to somebody else than the renter: the proof, or null when the reader did not sign. */
  readonly shared?: SharedProof | null;
}

const WHOLE_KEY = 'meta/whole';
const accountKey = (peer: string, currency: string) => `account/${peer}/${currency}`;
const positionKey = (peer: string, contract: string) => `position/${peer}/${contract}`;
const channelKey = (peer: string, id: string) => `channel/${peer}/${id}`;
const seenKey = (peer: string, nonce: string) => `seen/${peer}/${nonce}`;
const receiptPrefix = (peer: string, currency: string) => `receipt/${peer}/${currency}/`;
const receiptKey = (peer: string, currency: string, number: number) =>
  `${receiptPrefix(peer, currency)}${number.toString(16).padStart(13, '0')}`;
const pendingKey = (peer: string, nonce: string) => `pending/${peer}/${nonce}`;
const grantedKey = (contract: string, reader: string) => `granted/${contract}/${reader}`;
const tunnelKey = (peer: string, session: string) => `tunnel/${peer}/${session}`;

/** Positions charged in one transaction, so that none takes long. */
const BATCH = 512;
/** How long a countersigned receipt is kept, in milliseconds: for a renter that lost its book. */
const KEEP_RECEIPTS_MS = 180 * 24 * 3600 * 1000;

/** How long a transfer that broke off may still be signed for; then its farmer has written it off. */
const KEEP_PENDING_MS = 24 * 3600 * 1000;
/** How long what a reader has signed for waits for the renter's signature, in milliseconds. */
const KEEP_SHARED_MS = 30 * 24 * 3600 * 1000;
/** How long what was read under a grant is remembered: longer than any grant is good for. */
const KEEP_GRANTED_MS = 800 * 24 * 3600 * 1000;

/**
 * One side's book of accounts, positions, channels and receipts. The same on both sides: each writes
 * down what both have signed, so that both come to the same sums. Every change is one transaction,
 * and on the disk when its promise resolves. Nothing is counted twice, however often it is told.
 */
export class PaymentBook {
  /** Grows with every change that is made through this object; other processes may change the book, too. */
  version = 0;

  constructor(
    private readonly rows: Rows,
    private readonly clock: Clock,
  ) {}

  close(): Promise<void> {
    return this.rows.close();
  }

  /** Note that nothing is left to be written down, or that something may be. */
  async markWhole(whole: boolean): Promise<void> {
    await this.transaction((t) => (whole ? t.put(WHOLE_KEY, true) : t.remove(WHOLE_KEY)));
  }

  /** Whether the last one to use this book had written everything down when it closed it. */
  get isWhole(): boolean {
    return this.rows.get(WHOLE_KEY) === true;
  }

  account(peer: string, currency: string): Account | undefined {
    return this.rows.get(accountKey(peer, currency)) as Account | undefined;
  }

  *accounts(): Generator<Account> {
    for (const [, row] of this.rows.range('account/')) yield row as Account;
  }

  /** Accounts with one node. */
  *accountsWith(peer: string): Generator<Account> {
    for (const [, row] of this.rows.range(`account/${peer}/`)) yield row as Account;
  }

  position(peer: string, contract: string): Position | undefined {
    return this.rows.get(positionKey(peer, contract)) as Position | undefined;
  }

  /** Positions with one node, in order of contract. */
  *positions(peer: string): Generator<Position> {
    for (const [, row] of this.rows.range(`position/${peer}/`)) yield row as Position;
  }

  /** Some of the positions that accrue, with their peers, and where to go on. @param from - '' at first */
  openPositions(
    from: string,
    limit: number,
  ): { positions: (readonly [string, Position])[]; next: string | undefined } {
    const positions: (readonly [string, Position])[] = [];
    let looked = 0;
    for (const [key, row] of this.rows.range('position/', from === '' ? undefined : from)) {
      if ((looked += 1) > limit) return { positions, next: key };
      const position = row as Position;
      if (position.ended === null) positions.push([key.split('/')[1]!, position]);
    }
    return { positions, next: undefined };
  }

  *channels(): Generator<Channel> {
    for (const [, row] of this.rows.range('channel/')) yield row as Channel;
  }

  /** Channels with one node in one currency, oldest first. */
  channelsWith(peer: string, currency: string): Channel[] {
    return [...this.rows.range(`channel/${peer}/`)]
      .map(([, row]) => row as Channel)
      .filter((channel) => channel.currency === currency)
      .sort((a, b) => a.opened - b.opened);
  }

  channel(peer: string, id: string): Channel | undefined {
    return this.rows.get(channelKey(peer, id)) as Channel | undefined;
  }

  /** Units promised to, or by, a node since they met. */
  promised(peer: string, currency: string): bigint {
    return this.channelsWith(peer, currency).reduce((sum, one) => sum + promisedIn(one), 0n);
  }

  /** Units settled with a node since they met. */
  settled(peer: string, currency: string): bigint {
    return this.channelsWith(peer, currency).reduce((sum, { settled }) => sum + settled, 0n);
  }

  /** What happened day by day, from a day (`YYYY-MM-DD`) on, oldest first. */
  *days(from = ''): Generator<DayRow> {
    for (const [, row] of this.rows.range('day/', `day/${from}`)) yield row as DayRow;
  }

  /** Units promised since a time, by whole days. */
  promisedSince(time: number, currency: string): bigint {
    let sum = 0n;
    for (const row of this.days(dayOf(time))) if (row.currency === currency) sum += row.promised;
    return sum;
  }

  /** Begin an account. One that is there stays as it is. */
  async begin(peer: string, peerKey: string, currency: string): Promise<void> {
    if (this.account(peer, currency) !== undefined) return;
    await this.transaction((t) => this.ensureAccount(t, peer, peerKey, currency));
  }

  /**
   * A shard is stored, as both have signed: begin its position. Does nothing for a contract that is
   * for free, or that has a position.
   *
   * @param side - which key of the terms is the other side's
   * @param since - when the receipt says that it was stored
   */
  async open(
    side: 'renter' | 'farmer',
    contract: string,
    terms: ContractTerms,
    since: number,
  ): Promise<void> {
    const peer = side === 'renter' ? terms.renter : terms.farmer;
    await this.record([{ peer, open: { side, contract, terms, since } }]);
  }

  /**
   * Write several steps down in one transaction, in their order. Each counts once, however often it is
   * told; those of contracts that are for free count for nothing.
   *
   * @returns for each step, whether its receipt was new
   */
  async record(steps: readonly BookStep[]): Promise<boolean[]> {
    const relevant = steps.some(
      (step) =>
        (step.open !== undefined && !isFree(step.open.terms)) ||
        (step.receipt !== undefined &&
          this.position(step.peer, step.receipt.contract) !== undefined) ||
        (step.ended !== undefined && this.position(step.peer, step.ended.contract) !== undefined),
    );
    if (!relevant) return steps.map(() => false);
    return this.transaction((t) =>
      steps.map(({ peer, open, receipt, keep, ended }) => {
        if (open !== undefined) this.openIn(t, peer, open);
        const isNew = receipt !== undefined && this.addIn(t, peer, receipt, keep);
        if (ended !== undefined) this.endIn(t, peer, ended.contract, ended.why);
        return isNew;
      }),
    );
  }

  /** A contract was renewed. */
  async extend(peer: string, contract: string, period: Period): Promise<void> {
    if (this.position(peer, contract) === undefined) return;
    await this.transaction((t) => {
      const position = this.position(peer, contract);
      if (position === undefined) return;
      t.put(positionKey(peer, contract), extendPosition(position, period));
    });
  }

  /** Storage stops to accrue: the shard was deleted, or its farmer has not got it. */
  async end(peer: string, contract: string, why: 'deleted' | 'failed'): Promise<void> {
    const position = this.position(peer, contract);
    if (position === undefined || position.ended !== null) return;
    await this.transaction((t) => this.endIn(t, peer, contract, why));
  }

  /**
   * An audit was passed: charge storage up to its time, for all contracts with the node or for one.
   * Charged in batches; a crash in between is made good by the next audit.
   */
  async accrue(peer: string, time: number, only?: string): Promise<void> {
    if ([...this.accountsWith(peer)].length === 0) return;
    for (let from: string | undefined = `position/${peer}/${only ?? ''}`; from !== undefined;) {
      const start: string = from;
      from = await this.transaction((t) => {
        let count = 0;
        const sums = new Map<string, bigint>();
        let next: string | undefined;
        for (const [key, row] of this.rows.range(`position/${peer}/${only ?? ''}`, start)) {
          if (count === BATCH) {
            next = key;
            break;
          }
          count += 1;
          const before = row as Position;
          const { position, charge } = accruePosition(before, time);
          if (position === before) continue;
          t.put(key, position);
          sums.set(position.currency, (sums.get(position.currency) ?? 0n) + charge);
        }
        for (const [currency, charge] of sums) {
          this.charge(t, peer, currency, 'storage', charge, {});
        }
        if (next === undefined && only === undefined) {
          for (const account of [...this.accountsWith(peer)]) {
            if (account.audited >= time) continue;
            t.put(accountKey(peer, account.currency), { ...account, audited: time });
          }
        }
        return next;
      });
    }
  }

  /**
   * What storage would come to if it were audited at a time, and by how much that grows in a millisecond as
   * long as no contract ends; fine parts.
   */
  unaudited(peer: string, currency: string, time: number): { fine: bigint; perMs: bigint } {
    let [fine, perMs] = [0n, 0n];
    for (const position of this.positions(peer)) {
      if (position.currency !== currency) continue;
      fine += accruePosition(position, time).charge;
      perMs += storageRate(position, time);
    }
    return { fine, perMs };
  }

  /**
   * A transfer that both have signed for. Charged once, however often it is told.
   *
   * @param keep - the signed receipt, for who is paid: it is numbered and kept as proof
   * @returns whether it was new
   */
  async addReceipt(
    peer: string,
    body: ReceiptBody,
    keep?: Pick<ReceiptRow, 'receipt' | 'renterSignature'>,
  ): Promise<boolean> {
    const [isNew] = await this.record([
      { peer, receipt: body, ...(keep !== undefined && { keep }) },
    ]);
    return isNew!;
  }

  /** Whether the receipt of a transfer is written down, by its token's nonce; for 180 days. */
  knows(peer: string, token: string): boolean {
    return this.rows.get(seenKey(peer, token)) !== undefined;
  }

  /** Receipts of an account after a number, in order; the farmer's side. */
  receipts(peer: string, currency: string, after: number, limit: number): ReceiptRow[] {
    const found: ReceiptRow[] = [];
    const from = receiptKey(peer, currency, after + 1);
    for (const [, row] of this.rows.range(receiptPrefix(peer, currency), from)) {
      if (found.length >= limit) break;
      found.push(row as ReceiptRow);
    }
    return found;
  }

  /** Take note of how far the farmer's receipts were seen; the renter's side. */
  async sawReceipts(peer: string, currency: string, number: number): Promise<void> {
    await this.transaction((t) => {
      const account = this.account(peer, currency);
      if (account === undefined || account.receipts >= number) return;
      t.put(accountKey(peer, currency), { ...account, receipts: number } satisfies Account);
    });
  }

  /**
   * The renter has not signed for a download: keep what went through.
   *
   * @param shared - when somebody else read: the proof, or null when the reader did not sign
   */
  async addPending(peer: string, body: ReceiptBody, shared?: SharedProof | null): Promise<void> {
    const { contract, bytes, time, token } = body;
    if (this.position(peer, contract) === undefined) return;
    await this.transaction((t) => {
      const position = this.position(peer, contract);
      if (position === undefined || this.rows.get(seenKey(peer, token)) !== undefined) return;
      const charge = trafficCharge(egressPriceAt(position, time), bytes);
      if (shared !== undefined && charge === 0n) return;
      const row: PendingRow = { body, charge, ...(shared !== undefined && { shared }) };
      t.put(pendingKey(peer, token), row);
    });
  }

  /**
   * What a reader has signed for becomes a download of our own that waits for its receipt, as long as
   * the reader stays within what it was granted. Counted once, however often it is told.
   *
   * @param limit - the most bytes of the contract's shard that the reader may have
   * @returns whether this is now to be signed for
   */
  async adoptShared(
    peer: string,
    body: ReceiptBody,
    { reader, limit }: { reader: string; limit: number },
  ): Promise<boolean> {
    const { contract, bytes, time, token } = body;
    return this.transaction((t) => {
      const position = this.position(peer, contract);
      if (position === undefined || this.rows.get(seenKey(peer, token)) !== undefined) return false;
      const known = this.pendingOne(peer, token);
      if (known !== undefined) return JSON.stringify(known.body) === JSON.stringify(body);
      const key = grantedKey(contract, reader);
      const had = (this.rows.get(key) as { bytes: number } | undefined)?.bytes ?? 0;
      if (had + bytes > limit) return false;
      const charge = trafficCharge(egressPriceAt(position, time), bytes);
      t.put(key, { bytes: had + bytes, at: this.clock.now() });
      t.put(pendingKey(peer, token), { body, charge } satisfies PendingRow);
      return true;
    });
  }

  /** A transfer that broke off and is not signed for. */
  pendingOne(peer: string, token: string): PendingRow | undefined {
    return this.rows.get(pendingKey(peer, token)) as PendingRow | undefined;
  }

  /** Transfers with a node that broke off and are not signed for. */
  pending(peer: string): PendingRow[] {
    return [...this.rows.range(`pending/${peer}/`)].map(([, row]) => row as PendingRow);
  }

  /** What such transfers come to, and what a tunnel carried without a signature; fine parts. */
  unproved(peer: string): bigint {
    let sum = 0n;
    for (const { charge } of this.pending(peer)) sum += charge;
    for (const row of this.tunnels(peer)) if (!this.isForgiven(row)) sum += unsignedCharge(row);
    return sum;
  }

  /** Give up what was sent in a transfer that broke off. */
  async dropPending(peer: string, token: string): Promise<void> {
    await this.transaction((t) => t.remove(pendingKey(peer, token)));
  }

  /** A session of a tunnel with a node. */
  tunnel(peer: string, session: string): TunnelRow | undefined {
    return this.rows.get(tunnelKey(peer, session)) as TunnelRow | undefined;
  }

  /** Sessions of tunnels with a node, in order of their names, those after `after`. */
  *tunnels(peer: string, after = ''): Generator<TunnelRow> {
    for (const [, row] of this.rows.range(`tunnel/${peer}/`, tunnelKey(peer, after))) {
      if ((row as TunnelRow).session !== after) yield row as TunnelRow;
    }
  }

  /** Whether what was carried without a signature counts no more: it is a day old. */
  isForgiven({ at }: TunnelRow): boolean {
    return at < this.clock.now() - KEEP_PENDING_MS;
  }

  /**
   * What went through a tunnel in a session, by this side's own count. Nothing is owed for it before the
   * client has signed.
   *
   * @throws PaymentError PAYMENT_DISPUTED when the session had another price.
   */
  async noteCarried(peer: string, count: TunnelCount): Promise<void> {
    await this.transaction((t) => {
      const known = this.tunnelIn(peer, count);
      if (known.carried >= count.bytes) return;
      t.put(tunnelKey(peer, count.session), {
        ...known,
        carried: count.bytes,
        at: this.clock.now(),
      } satisfies TunnelRow);
    });
  }

  /**
   * What a tunnel has carried in a session, signed for by its client: a cumulative count, of which
   * what was not charged before is charged now.
   *
   * @param receipt - that both have signed, as proof
   * @returns the fine parts charged
   * @throws PaymentError PAYMENT_DISPUTED when the session had another price.
   */
  async addTunnel(
    peer: string,
    peerKey: string,
    count: TunnelCount,
    receipt?: TunnelReceipt,
  ): Promise<bigint> {
    return this.transaction((t) => {
      const known = this.tunnelIn(peer, count);
      const { bytes, currency } = count;
      const more = bytes > known.bytes ? bytes - known.bytes : 0;
      if (more === 0 && receipt === undefined) return 0n;
      const latest = (known.receipt?.body.bytes ?? -1) < bytes ? receipt : undefined;
      t.put(tunnelKey(peer, count.session), {
        ...known,
        bytes: known.bytes + more,
        carried: Math.max(known.carried, bytes),
        at: this.clock.now(),
        receipt: latest ?? known.receipt,
      } satisfies TunnelRow);
      if (more === 0) return 0n;
      const charge = trafficCharge(BigInt(count.price), more);
      this.ensureAccount(t, peer, peerKey, currency);
      this.charge(t, peer, currency, 'tunnel', charge, {});
      return charge;
    });
  }

  /** Accept units on the other side's word. */
  async concede(peer: string, currency: string, units: bigint): Promise<void> {
    await this.transaction((t) => {
      const account = this.account(peer, currency);
      if (account === undefined) return;
      t.put(accountKey(peer, currency), { ...account, conceded: account.conceded + units });
    });
  }

  /** At least so many units were owed: they had been promised before this book was lost. */
  async raiseFloor(peer: string, currency: string, units: bigint): Promise<void> {
    await this.transaction((t) => {
      const account = this.account(peer, currency);
      if (account === undefined || account.floor >= units) return;
      t.put(accountKey(peer, currency), { ...account, floor: units } satisfies Account);
    });
  }

  /** Write a channel down, or change it. @returns what it is now */
  async changeChannel(
    peer: string,
    id: string,
    change: (known: Channel | undefined) => Channel | undefined,
  ): Promise<Channel | undefined> {
    return this.transaction((t) => {
      const known = this.channel(peer, id);
      const next = change(known);
      if (next === undefined) return known;
      t.put(channelKey(peer, id), next);
      const promised = promisedIn(next) - (known === undefined ? 0n : promisedIn(known));
      const settled = next.settled - (known?.settled ?? 0n);
      if (promised !== 0n || settled !== 0n) {
        this.changeDay(t, peer, next.currency, (row) => ({
          ...row,
          promised: row.promised + promised,
          settled: row.settled + settled,
        }));
      }
      return next;
    });
  }

  /** Keep a voucher when it promises more than the last one. @returns the channel as it is now */
  async keepVoucher(peer: string, voucher: Voucher): Promise<Channel> {
    const channel = await this.changeChannel(peer, voucher.channel, (known) =>
      known === undefined || BigInt(voucher.amount) <= promisedIn(known)
        ? undefined
        : { ...known, voucher },
    );
    if (channel === undefined) {
      throw new PaymentError('PAYMENT_CHANNEL', `there is no channel ${voucher.channel} here`);
    }
    return channel;
  }

  /** Statements that both have signed, oldest first. */
  *statements(): Generator<unknown> {
    for (const [, row] of this.rows.range('statement/')) yield row;
  }

  async putStatement(peer: string, time: number, statement: unknown): Promise<void> {
    const key = `statement/${time.toString(16).padStart(12, '0')}/${peer}`;
    await this.transaction((t) => t.put(key, statement));
  }

  /** Forget old receipts, and positions that are over and were charged to their end. */
  async sweep(): Promise<void> {
    const before = this.clock.now() - KEEP_RECEIPTS_MS;
    const old: string[] = [];
    for (const [key, row] of this.rows.range('seen/')) {
      if ((row as { at: number }).at < before) old.push(key);
    }
    for (const [key, row] of this.rows.range('pending/')) {
      const { body, shared } = row as PendingRow;
      const proved = shared !== undefined && shared !== null;
      const keep = proved ? KEEP_SHARED_MS : KEEP_PENDING_MS;
      if (body.time < this.clock.now() - keep) old.push(key);
    }
    for (const [key, row] of this.rows.range('granted/')) {
      if ((row as { at: number }).at < this.clock.now() - KEEP_GRANTED_MS) old.push(key);
    }
    for (const [key, row] of this.rows.range('position/')) {
      const { ended, accruedUntil, periods } = row as Position;
      const over = ended !== null || accruedUntil >= periods.at(-1)!.until;
      if (over && periods.at(-1)!.until < before) old.push(key);
    }
    for (const [key, row] of this.rows.range('receipt/')) {
      if ((row as ReceiptRow).receipt.body.time < before) old.push(key);
    }
    for (const [key, row] of this.rows.range('tunnel/')) {
      const session = row as TunnelRow;
      if (session.at < before || (session.bytes === 0 && this.isForgiven(session))) old.push(key);
    }
    if (old.length > 0) await this.transaction((t) => old.forEach((key) => t.remove(key)));
  }

  private async transaction<T>(work: (writer: RowWriter) => T): Promise<T> {
    const result = await this.rows.transaction(work);
    this.version += 1;
    return result;
  }

  private tunnelIn(peer: string, { session, currency, price }: TunnelCount): TunnelRow {
    const known = this.tunnel(peer, session);
    if (known === undefined) {
      return {
        session,
        currency,
        price,
        bytes: 0,
        carried: 0,
        at: this.clock.now(),
        receipt: null,
      };
    }
    if (known.price !== price || known.currency !== currency) {
      throw new PaymentError(
        'PAYMENT_DISPUTED',
        'the price of a tunnel changed within a session: begin a new one',
      );
    }
    return known;
  }

  private openIn(t: RowWriter, peer: string, open: NonNullable<BookStep['open']>): void {
    const { side, contract, terms, since } = open;
    if (isFree(terms) || this.position(peer, contract) !== undefined) return;
    this.ensureAccount(
      t,
      peer,
      side === 'renter' ? terms.renterKey : terms.farmerKey,
      terms.currency,
    );
    t.put(positionKey(peer, contract), openPosition(contract, terms, since));
  }

  private addIn(
    t: RowWriter,
    peer: string,
    { contract, direction, bytes, time, token }: ReceiptBody,
    keep: BookStep['keep'],
  ): boolean {
    const position = this.position(peer, contract);
    if (position === undefined || this.rows.get(seenKey(peer, token)) !== undefined) return false;
    const { currency } = position;
    const account = this.account(peer, currency)!;
    const moved = direction === 'download' ? bytes : 0;
    const charge = trafficCharge(egressPriceAt(position, time), moved);
    t.put(seenKey(peer, token), { at: this.clock.now() });
    t.remove(pendingKey(peer, token));
    const number = account.receipts + 1;
    if (keep !== undefined) {
      t.put(receiptKey(peer, currency, number), { number, ...keep } satisfies ReceiptRow);
    }
    t.put(positionKey(peer, contract), { ...position, egress: position.egress + charge });
    this.charge(t, peer, currency, 'egress', charge, {
      ...(keep !== undefined && { receipts: number }),
    });
    return true;
  }

  private endIn(t: RowWriter, peer: string, contract: string, why: 'deleted' | 'failed'): void {
    const position = this.position(peer, contract);
    if (position === undefined || position.ended !== null) return;
    t.put(positionKey(peer, contract), { ...position, ended: why } satisfies Position);
  }

  private ensureAccount(t: RowWriter, peer: string, peerKey: string, currency: string): void {
    if (this.account(peer, currency) === undefined) {
      t.put(accountKey(peer, currency), newAccount(peer, peerKey, currency));
    }
  }

  private charge(
    t: RowWriter,
    peer: string,
    currency: string,
    purpose: Purpose,
    fine: bigint,
    also: Partial<Pick<Account, 'receipts'>>,
  ): void {
    const account = this.account(peer, currency)!;
    t.put(accountKey(peer, currency), {
      ...account,
      ...also,
      [purpose]: account[purpose] + fine,
    } satisfies Account);
    if (fine === 0n) return;
    this.changeDay(t, peer, currency, (row) => ({ ...row, [purpose]: row[purpose] + fine }));
  }

  private changeDay(
    t: RowWriter,
    peer: string,
    currency: string,
    change: (row: DayRow) => DayRow,
  ): void {
    const day = dayOf(this.clock.now());
    const key = `day/${day}/${peer}/${currency}`;
    const none = { storage: 0n, egress: 0n, tunnel: 0n, promised: 0n, settled: 0n };
    const known = this.rows.get(key) as DayRow | undefined;
    t.put(key, change(known ?? { day, peer, currency, ...none }));
  }
}
