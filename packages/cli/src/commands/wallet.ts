import { evmAddressOf, toHex } from '@granary/protocol';
import { chainCoinBalance, promisedIn } from '@granary/payments';
import type { Context } from '../context.js';
import { table } from '../output.js';
import { hasSpent, withBook } from '../payment-context.js';

/** What of a farmer's money lies in channels to tunnels, and what of that is promised. */
function spentOnTunnels(
  context: Context,
  data: string,
): Promise<{ locked: bigint; promised: bigint }> {
  return withBook(
    context,
    data,
    ({ book, settlement }) => {
      let [locked, promised] = [0n, 0n];
      for (const channel of book.channels()) {
        if (channel.currency !== settlement.currency || channel.state === 'closed') continue;
        promised += promisedIn(channel) - channel.settled;
        if (channel.deposit !== null) locked += channel.deposit - channel.settled;
      }
      return Promise.resolve({ locked, promised });
    },
    'spent',
  );
}

/** `granary wallet`: what a node has to pay with, and what lies in channels. */
export async function wallet(context: Context, options: { data?: string }): Promise<void> {
  const { output } = context;
  const { rpc, contract, ...rest } = context.config;
  // Before there is a contract one has to know where to send the coin that its deployment costs.
  const bare = rpc !== undefined && contract === undefined;
  const used = bare ? { ...context, config: rest } : context;
  const spent = (await hasSpent(options.data))
    ? await spentOnTunnels(used, options.data!)
    : undefined;
  await withBook(used, options.data, async ({ identity, book, role, settlement }) => {
    const address = evmAddressOf(toHex(identity.publicKey));
    const funds = bare
      ? { balance: null, gas: await chainCoinBalance(rpc, identity) }
      : await settlement.funds();
    let [locked, unredeemed] = [0n, 0n];
    for (const channel of book.channels()) {
      if (channel.currency !== settlement.currency || channel.state === 'closed') continue;
      const left = promisedIn(channel) - channel.settled;
      if (left > 0n) unredeemed += left;
      if (channel.deposit !== null) locked += channel.deposit - channel.settled;
    }
    output.result({
      role,
      nodeId: identity.nodeId,
      address,
      settlement: settlement.kind,
      currency: settlement.currency,
      balance: funds.balance?.toString() ?? null,
      gas: funds.gas?.toString() ?? null,
      inChannels: locked.toString(),
      promisedAndNotSettled: unredeemed.toString(),
      ...(spent !== undefined && {
        toTunnels: {
          inChannels: String(spent.locked),
          promisedAndNotSettled: String(spent.promised),
        },
      }),
    });
    const rows = [
      ['node ID', identity.nodeId],
      ['address', `${address}  (on EVM chains)`],
      [
        'paid by',
        settlement.kind === 'ledger' ? 'ledger' : `contract ${settlement.domain.contract}`,
      ],
      ['currency', settlement.currency],
    ];
    if (funds.balance !== null) rows.push(['balance', funds.balance.toString()]);
    if (funds.gas !== null) rows.push(['for transactions', `${funds.gas} of the chain's coin`]);
    if (bare) rows.push(['contract', 'none named: --contract, or "granary channels deploy"']);
    if (settlement.kind === 'evm') {
      const whose = role === 'renter' ? 'of ours' : 'that pay us';
      rows.push(['in channels', `${locked} ${whose}`]);
    }
    const what = role === 'renter' ? 'promised, not settled' : 'vouchers, not settled';
    rows.push([what, unredeemed.toString()]);
    if (spent !== undefined) {
      if (settlement.kind === 'evm')
        rows.push(['in channels to tunnels', `${spent.locked} of ours`]);
      rows.push(['promised to tunnels, not settled', spent.promised.toString()]);
    }
    output.line(table(rows));
  });
}
