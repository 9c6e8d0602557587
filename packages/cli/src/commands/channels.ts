import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import { toHex } from '@granary/protocol';
import {
  type Channel,
  Payee,
  Payer,
  type Settlement,
  defaultPayerLimits,
  deployChannelsContract,
  promisedIn,
} from '@granary/payments';
import { CliError } from '../cli-error.js';
import { type Context, loadKeys, withRenter } from '../context.js';
import { table } from '../output.js';
import { chainSettlement, parseAmount } from '../paying.js';
import { type PaymentContext, hasSpent, withBook } from '../payment-context.js';
import { chainFetch } from '../proxy.js';
import { formatDuration } from '../units.js';

/** `granary channels list` */
export async function list(context: Context, options: { data?: string }): Promise<void> {
  const { output } = context;
  let none = true;
  const show = ({ book, others }: PaymentContext) => {
    const channels = [...book.channels()].sort((a, b) => a.opened - b.opened);
    for (const channel of channels) output.result({ ...asJson(channel), with: others });
    if (channels.length === 0) return Promise.resolve();
    none = false;
    output.line(
      table([
        ['channel', others, 'by', 'state', 'deposit', 'promised', 'settled', 'closes'],
        ...channels.map((channel) => [
          channel.id.slice(0, 12),
          channel.peer.slice(0, 12),
          channel.settlement,
          channel.state,
          channel.deposit?.toString() ?? '-',
          promisedIn(channel).toString(),
          channel.settled.toString(),
          closes(channel),
        ]),
      ]),
    );
    return Promise.resolve();
  };
  await withBook(context, options.data, show);
  if (await hasSpent(options.data)) await withBook(context, options.data, show, 'spent');
  if (none) output.line('There is no payment channel yet: the first payment opens one.');
}

/** `granary channels pay`: pay every farmer what is due now. */
export async function pay(context: Context): Promise<void> {
  const { output, signal } = context;
  await withRenter(context, async (renter) => {
    const report = await renter.pay({ signal });
    output.result(report);
    for (const { farmer, amount, currency } of report.paid) {
      output.line(`Paid ${amount} ${currency} to ${farmer}.`);
    }
    for (const { farmer, amount, currency } of report.disputed) {
      output.note(`${farmer} claims ${amount} ${currency} more than was audited and received.`);
    }
    for (const { farmer } of report.waiting) {
      output.line(
        `${farmer} takes its voucher when the chain has confirmed the deposit: pay again then.`,
      );
    }
    for (const { farmer, reason } of report.failures) output.note(`${farmer}: ${reason}`);
    const { paid, waiting, failures } = report;
    if (paid.length + waiting.length + failures.length === 0) output.line('Nothing is due.');
    if (report.failures.length > 0) {
      const count = report.failures.length;
      throw new CliError('CLI_UNPAID', `${count} farmers could not be paid: try again later`);
    }
  });
}

/** `granary channels close` and `granary channels withdraw` */
export async function close(
  context: Context,
  wanted: string,
  step: 'close' | 'withdraw',
  { data }: { data?: string } = {},
): Promise<void> {
  const { output } = context;
  const work = async (payer: Payer, settlement: Settlement | undefined) => {
    const channel = find([...payer.book.channels()], wanted);
    if (channel.settlement === 'ledger' || settlement === undefined) {
      throw new CliError('CLI_USAGE', 'a channel of the ledger has no deposit to take back');
    }
    const now =
      step === 'close'
        ? await payer.requestClose(channel, settlement)
        : await payer.withdraw(channel, settlement);
    output.result(asJson(now));
    output.line(
      step === 'close'
        ? `Asked to close. The rest can be withdrawn ${closes(now)}: granary channels withdraw ${now.id.slice(0, 12)}`
        : `Closed: ${(now.deposit ?? 0n) - now.settled} came back.`,
    );
  };
  if (data === undefined) {
    const { identity } = await loadKeys(context);
    const settlement = await chainSettlement(context.config, identity, context.dialer);
    return withRenter(context, (renter) => work(renter.payer, settlement));
  }
  if (!(await hasSpent(data))) {
    throw new CliError('CLI_USAGE', `--data ${data}: no node there has ever paid for a tunnel`);
  }
  const offline = () => Promise.reject(new Error('nobody is asked here'));
  await withBook(
    context,
    data,
    ({ identity, book, settlement }) => {
      const payer = new Payer({
        identity,
        book,
        settlementFor: () => settlement,
        contractOf: () => Promise.resolve(undefined),
        call: offline,
        limits: defaultPayerLimits,
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
      });
      return work(payer, settlement);
    },
    'spent',
  );
}

/** `granary channels redeem`: turn a farmer's vouchers into money. */
export async function redeem(context: Context, options: { data: string }): Promise<void> {
  const { output } = context;
  await withBook(context, options.data, async ({ identity, book, settlement }) => {
    if (settlement.kind === 'ledger') {
      throw new CliError('CLI_USAGE', 'name the chain: --rpc and --contract, or in config.json');
    }
    const payee = new Payee({
      identity,
      book,
      settlement,
      creditLimit: 0n,
      clock: systemClock,
      logger: silentLogger,
    });
    const { redeemed, failures } = await payee.collect(true);
    output.result({ redeemed: redeemed.toString(), failures });
    output.line(`Redeemed ${redeemed} ${settlement.currency}.`);
    for (const failure of failures) output.note(failure);
    if (failures.length > 0) {
      throw new CliError('CLI_UNPAID', `${failures.length} channels could not be redeemed`);
    }
  });
}

/** `granary channels received`: a renter has paid a farmer outside. */
export async function received(
  context: Context,
  renter: string,
  amount: string,
  options: { data: string; currency?: string },
): Promise<void> {
  const { output } = context;
  const units = parseAmount('AMOUNT', amount);
  await withBook(context, options.data, async ({ identity, book, settlement }) => {
    const known = [...book.channels()].filter(({ settlement: kind }) => kind === 'ledger');
    const peer = known.find((channel) => channel.peer.startsWith(renter))?.peer;
    needDigits('renter', renter);
    if (peer === undefined) {
      throw new CliError('CLI_USAGE', `nobody ${renter} has promised this node anything`);
    }
    const payee = new Payee({
      identity,
      book,
      settlement,
      creditLimit: 0n,
      clock: systemClock,
      logger: silentLogger,
    });
    const currency = options.currency ?? known.find((channel) => channel.peer === peer)!.currency;
    const channel = await payee.received(peer, currency, units);
    output.result(asJson(channel));
    const left = promisedIn(channel) - channel.settled;
    output.line(`Noted: ${units} ${currency} from ${peer}; ${left} are promised and not settled.`);
  });
}

/** `granary channels statement`: have a farmer sign how the account stands. */
export async function statement(context: Context, farmer: string): Promise<void> {
  const { output, signal } = context;
  await withRenter(context, async (renter) => {
    needDigits('farmer', farmer);
    const found = [...renter.payer.book.accounts()].filter(({ peer }) => peer.startsWith(farmer));
    if (found.length === 0) {
      throw new CliError('CLI_USAGE', `there is no account with a farmer ${farmer}`);
    }
    for (const { peer, peerKey, currency } of found) {
      const party = { nodeId: peer, publicKey: peerKey };
      const signed = await renter.payer.statement(party, currency, signal);
      output.result(signed);
      const { promised, settled } = signed.body;
      output.line(`${peer} has signed: ${promised} ${currency} promised, ${settled} settled.`);
    }
  });
}

/** `granary channels deploy`: put the contract on a chain. */
export async function deploy(context: Context): Promise<void> {
  const { output, config, dialer } = context;
  if (config.rpc === undefined) {
    throw new CliError('CLI_USAGE', 'name a node of the chain: --rpc http://HOST:PORT');
  }
  const { identity } = await loadKeys(context);
  const fetch = await chainFetch(config.rpc, dialer);
  const contract = await deployChannelsContract(config.rpc, identity, {
    ...(fetch !== undefined && { fetch }),
  });
  output.result({ contract, by: toHex(identity.publicKey) });
  output.line(
    `The contract is at ${contract}. Whoever wants to be paid by it names it: --contract ${contract}`,
  );
}

/** Few digits may mean somebody else by accident. */
function needDigits(what: string, id: string): void {
  if (id.length >= 8) return;
  throw new CliError('CLI_USAGE', `${what} ${id}: give at least 8 digits of its ID`);
}

function find(channels: readonly Channel[], wanted: string): Channel {
  needDigits('channel', wanted);
  const found = channels.filter(({ id }) => id.startsWith(wanted));
  if (found.length === 1) return found[0]!;
  throw new CliError(
    'CLI_USAGE',
    `${found.length === 0 ? 'there is no channel' : 'give more digits of the channel'} ${wanted}: ` +
      '"granary channels list" shows them',
  );
}

function closes({ state, closesAt }: Channel): string {
  if (state === 'closed') return 'closed';
  if (closesAt === null) return '-';
  const left = closesAt - Date.now();
  return left > 0 ? `in ${formatDuration(left)}` : 'now';
}

function asJson(channel: Channel) {
  return {
    ...channel,
    deposit: channel.deposit?.toString() ?? null,
    wanted: channel.wanted?.toString() ?? null,
    settled: channel.settled.toString(),
    promised: promisedIn(channel).toString(),
  };
}
