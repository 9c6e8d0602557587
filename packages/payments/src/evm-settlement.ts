import {
  type Abi,
  type Account as ViemAccount,
  BaseError,
  type Chain,
  ContractFunctionRevertedError,
  HttpRequestError,
  type PublicClient,
  TimeoutError,
  type Transport,
  WaitForTransactionReceiptTimeoutError,
  type WalletClient,
  createPublicClient,
  createWalletClient,
  defineChain,
  encodeAbiParameters,
  erc20Abi,
  http,
  keccak256,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import type { Identity } from '@granary/kad';
import { type Voucher, type VoucherDomain, evmAddressOf, toHex } from '@granary/protocol';
import { PaymentError } from './errors.js';
import { NATIVE_TOKEN, evmCurrencyName, evmDescriptor } from './evm-currency.js';
import { granaryChannels } from './generated/contracts.js';
import type { ChannelParties, ChannelView, Funds, Settlement } from './settlement.js';

type Address = `0x${string}`;

/** Where an {@link EvmSettlement} settles, and with which patience. Times in milliseconds. */
export interface EvmOptions {
  /** URL of a node's JSON-RPC, `http://` or `https://`. */
  readonly rpcUrl: string;
  /** Address of the channels contract. */
  readonly contract: string;
  /** Address of the token, or `native`. */
  readonly token: string;
  readonly identity: Identity;
  /**
   * The chain's ID (EIP-155). When it is given, the node is asked for nothing before it is needed, so
   * that a chain that is down keeps nobody from starting.
   */
  readonly chainId?: number;
  /** Blocks on top of a deposit before it counts: no reorganisation is expected to be deeper. */
  readonly confirmations?: number;
  /** How long who is paid has to redeem when the payer wants to close a channel that we open. */
  readonly challengeMs?: number;
  /** How the node is asked; the platform's `fetch` when not given. */
  readonly fetch?: typeof fetch;
  /** For one request. */
  readonly timeoutMs?: number;
  /** For a transaction to be in a block. */
  readonly transactionMs?: number;
  readonly pollMs?: number;
}

const DAY_MS = 24 * 3600 * 1000;
const NONCE_TRIES = 4;

interface OnChain {
  readonly payer: Address;
  readonly payee: Address;
  readonly token: Address;
  readonly challenge: number;
  readonly closesAt: number;
  readonly closed: boolean;
  readonly deposit: bigint;
  readonly redeemed: bigint;
}

const channelsAbi = granaryChannels.abi as Abi;

/** Settlement on an EVM chain by the contract `GranaryChannels`. The identity's key is the account. */
export class EvmSettlement implements Settlement {
  readonly kind = 'evm';
  private sending: Promise<unknown> = Promise.resolve();
  private checked = false;

  private constructor(
    private readonly reader: PublicClient,
    private readonly wallet: WalletClient<Transport, Chain, ViemAccount>,
    private readonly contract: Address,
    private readonly token: Address,
    private readonly chainId: number,
    private readonly options: Required<
      Omit<EvmOptions, 'contract' | 'token' | 'identity' | 'rpcUrl' | 'chainId' | 'fetch'>
    >,
  ) {}

  /**
   * Ask the node which chain it is on, and see that the contract is there.
   *
   * @throws PaymentError PAYMENT_CHAIN_UNREACHABLE or PAYMENT_CHAIN.
   */
  static async open(options: EvmOptions): Promise<EvmSettlement> {
    const timeoutMs = options.timeoutMs ?? 10_000;
    const contract = parseAddress('contract', options.contract);
    const token = options.token === 'native' ? NATIVE_TOKEN : parseAddress('token', options.token);
    const { reader, wallet, chainId } = await connect(options, timeoutMs);
    const settlement = new EvmSettlement(reader, wallet, contract, token, chainId, {
      confirmations: options.confirmations ?? 12,
      challengeMs: options.challengeMs ?? 7 * DAY_MS,
      timeoutMs,
      transactionMs: options.transactionMs ?? 300_000,
      pollMs: options.pollMs ?? 1_000,
    });
    if (options.chainId === undefined) await settlement.check();
    return settlement;
  }

  /** See, once, that the node is on the chain that was named and has the contract. */
  private async check(): Promise<void> {
    if (this.checked) return;
    const [chainId, code] = await guard(() =>
      Promise.all([this.reader.getChainId(), this.reader.getCode({ address: this.contract })]),
    );
    if (chainId !== this.chainId) {
      throw new PaymentError(
        'PAYMENT_CHAIN',
        `the node is on chain ${chainId}, not on ${this.chainId}: check its address`,
      );
    }
    if (code === undefined || code === '0x') {
      throw new PaymentError(
        'PAYMENT_CHAIN',
        `there is no contract at ${this.contract} on chain ${chainId}: check address and node`,
      );
    }
    this.checked = true;
  }

  get currency(): string {
    return evmCurrencyName({ chainId: this.chainId, token: this.token });
  }

  get domain(): VoucherDomain {
    return { chainId: this.chainId, contract: this.contract };
  }

  channelId({ payer, payee }: ChannelParties, salt: string): string {
    const id = keccak256(
      encodeAbiParameters(
        [{ type: 'address' }, { type: 'address' }, { type: 'address' }, { type: 'bytes32' }],
        [
          evmAddressOf(payer.publicKey) as Address,
          evmAddressOf(payee.publicKey) as Address,
          this.token,
          `0x${salt}`,
        ],
      ),
    );
    return id.slice(2);
  }

  describe(id: string): string {
    return evmDescriptor(this.chainId, this.contract, id);
  }

  async look(id: string, { payer, payee }: ChannelParties): Promise<ChannelView | undefined> {
    await this.check();
    const newest = await guard(() => this.reader.getBlockNumber({ cacheTime: 0 }));
    const now = await this.read(id, newest);
    if (
      now === undefined ||
      now.payer !== evmAddressOf(payer.publicKey) ||
      now.payee !== evmAddressOf(payee.publicKey) ||
      now.token !== this.token
    ) {
      return undefined;
    }
    const depth = BigInt(this.options.confirmations);
    const before =
      depth === 0n ? now : newest >= depth ? await this.read(id, newest - depth) : undefined;
    const sure = before?.deposit ?? 0n;
    return {
      deposit: sure < now.deposit ? sure : now.deposit,
      latestDeposit: now.deposit,
      settled: now.redeemed,
      closesAt: now.closesAt === 0 ? null : now.closesAt * 1000,
      challengeMs: now.challenge * 1000,
      closed: now.closed,
    };
  }

  async open(salt: string, parties: ChannelParties, deposit: bigint): Promise<void> {
    const id = this.channelId(parties, salt);
    await this.exclusive(async () => {
      if ((await this.read(id)) !== undefined) return;
      await this.approve(deposit);
      const payee = evmAddressOf(parties.payee.publicKey) as Address;
      const challenge = Math.floor(this.options.challengeMs / 1000);
      await this.send('open', [payee, this.token, `0x${salt}`, challenge, deposit], deposit);
    });
  }

  async topUp(id: string, deposit: bigint): Promise<void> {
    await this.exclusive(async () => {
      const now = await this.need(id);
      if (now.deposit >= deposit) return;
      await this.approve(deposit - now.deposit);
      await this.send('topUp', [`0x${id}`, now.deposit, deposit], deposit - now.deposit);
    });
  }

  async redeem(id: string, voucher: Voucher): Promise<void> {
    await this.exclusive(async () => {
      const now = await this.need(id);
      const amount = BigInt(voucher.amount);
      if (now.redeemed >= (amount < now.deposit ? amount : now.deposit)) return;
      const r = `0x${voucher.signature.slice(0, 64)}`;
      const vs = `0x${voucher.signature.slice(64)}`;
      await this.send('redeem', [`0x${id}`, amount, r, vs]);
    });
  }

  async requestClose(id: string): Promise<void> {
    await this.exclusive(async () => {
      const now = await this.need(id);
      if (now.closed || now.closesAt !== 0) return;
      await this.send('requestClose', [`0x${id}`]);
    });
  }

  async release(id: string): Promise<void> {
    await this.exclusive(async () => {
      const now = await this.need(id);
      if (now.closed) return;
      await this.send('release', [`0x${id}`]);
    });
  }

  async withdraw(id: string): Promise<void> {
    await this.exclusive(async () => {
      const now = await this.need(id);
      if (now.closed) return;
      await this.send('withdraw', [`0x${id}`]);
    });
  }

  async funds(): Promise<Funds> {
    const { address } = this.wallet.account;
    return guard(async () => {
      const gas = await this.reader.getBalance({ address });
      const balance = this.token === NATIVE_TOKEN ? gas : await this.tokenBalance();
      return { account: address.toLowerCase(), balance, gas };
    });
  }

  /** There is nothing to free: what is under way can be asked for again at any time. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  private tokenBalance(): Promise<bigint> {
    return this.reader.readContract({
      address: this.token,
      abi: erc20Abi,
      functionName: 'balanceOf',
      args: [this.wallet.account.address],
    });
  }

  /** One transaction after the other: their numbers must follow each other. */
  private exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.sending
      .catch(() => undefined)
      .then(() => this.check())
      .then(() => guard(work, this.wallet.account.address));
    this.sending = result;
    return result;
  }

  private async read(id: string, blockNumber?: bigint): Promise<OnChain | undefined> {
    const found = (await guard(() =>
      this.reader.readContract({
        address: this.contract,
        abi: channelsAbi,
        functionName: 'channel',
        args: [`0x${id}`],
        ...(blockNumber !== undefined && { blockNumber }),
      }),
    ).catch((error: unknown) => {
      // Before its own block the contract answers nothing at all.
      if (blockNumber !== undefined && isPaymentError(error, 'PAYMENT_CHAIN')) return undefined;
      throw error;
    })) as OnChain | undefined;
    if (found === undefined || found.payer === NATIVE_TOKEN) return undefined;
    return {
      ...found,
      payer: found.payer.toLowerCase() as Address,
      payee: found.payee.toLowerCase() as Address,
      token: found.token.toLowerCase() as Address,
    };
  }

  private async need(id: string): Promise<OnChain> {
    const found = await this.read(id);
    if (found === undefined) {
      throw new PaymentError(
        'PAYMENT_CHANNEL',
        `there is no channel ${id} on chain ${this.chainId}`,
      );
    }
    return found;
  }

  private async approve(amount: bigint): Promise<void> {
    const owner = this.wallet.account.address;
    const { balance } = await this.funds();
    if (balance !== null && balance < amount) {
      throw new PaymentError(
        'PAYMENT_FUNDS',
        `${owner} has ${balance} of ${this.currency}, and ${amount} are needed: send it some`,
      );
    }
    if (this.token === NATIVE_TOKEN || amount === 0n) return;
    const abi = erc20Abi;
    const args = [owner, this.contract] as const;
    const given = await this.reader.readContract({
      address: this.token,
      abi,
      functionName: 'allowance',
      args,
    });
    if (given >= amount) return;
    await this.submit((nonce) =>
      this.wallet.writeContract({
        address: this.token,
        abi,
        functionName: 'approve',
        args: [this.contract, amount],
        nonce,
      }),
    );
  }

  private async send(name: string, args: readonly unknown[], deposit = 0n): Promise<void> {
    const value = this.token === NATIVE_TOKEN ? deposit : 0n;
    await this.submit(async (nonce) => {
      // A dry run first: what would fail costs nothing.
      const { request } = await this.reader.simulateContract({
        account: this.wallet.account,
        address: this.contract,
        abi: channelsAbi,
        functionName: name,
        args,
        value,
      });
      return this.wallet.writeContract({ ...request, nonce });
    });
  }

  private async submit(write: (nonce: number) => Promise<Address>): Promise<void> {
    const { address } = this.wallet.account;
    for (let tries = 1; ; tries += 1) {
      const nonce = await this.reader.getTransactionCount({ address, blockTag: 'pending' });
      try {
        const hash = await write(nonce);
        const receipt = await this.reader.waitForTransactionReceipt({
          hash,
          timeout: this.options.transactionMs,
          pollingInterval: this.options.pollMs,
        });
        if (receipt.status !== 'success') {
          throw new PaymentError('PAYMENT_CHAIN', `the chain refused transaction ${hash}`);
        }
        return;
      } catch (error) {
        // Another process of ours was quicker with this number.
        const taken =
          error instanceof Error && /nonce too low|already known|replacement/i.test(error.message);
        if (!taken || tries >= NONCE_TRIES) throw error;
      }
    }
  }
}

/**
 * Put the channels contract on a chain; its address.
 *
 * @throws PaymentError PAYMENT_CHAIN_UNREACHABLE, PAYMENT_CHAIN or PAYMENT_FUNDS.
 */
export async function deployChannels(
  rpcUrl: string,
  identity: Identity,
  options: Pick<EvmOptions, 'fetch' | 'timeoutMs' | 'pollMs'> = {},
): Promise<string> {
  const { reader, wallet } = await connect(
    { rpcUrl, identity, ...(options.fetch !== undefined && { fetch: options.fetch }) },
    options.timeoutMs ?? 10_000,
  );
  return guard(async () => {
    const hash = await wallet.deployContract({
      abi: channelsAbi,
      bytecode: granaryChannels.bytecode,
      args: [],
    });
    const pollingInterval = options.pollMs ?? 1_000;
    const receipt = await reader.waitForTransactionReceipt({ hash, pollingInterval });
    if (typeof receipt.contractAddress !== 'string') {
      throw new PaymentError('PAYMENT_CHAIN', `the chain refused transaction ${hash}`);
    }
    return receipt.contractAddress.toLowerCase();
  }, wallet.account.address);
}

/**
 * How much of a chain's coin an identity has, in its smallest unit: it pays for transactions.
 *
 * @throws PaymentError PAYMENT_CHAIN_UNREACHABLE or PAYMENT_CHAIN.
 */
export async function coinBalance(rpcUrl: string, identity: Identity): Promise<bigint> {
  const { reader, wallet } = await connect({ rpcUrl, identity }, 10_000);
  return guard(() => reader.getBalance({ address: wallet.account.address }));
}

async function connect(
  {
    rpcUrl,
    identity,
    fetch,
    ...known
  }: Pick<EvmOptions, 'rpcUrl' | 'identity' | 'chainId' | 'fetch'>,
  timeout: number,
) {
  if (!/^https?:\/\//.test(rpcUrl)) {
    throw new PaymentError(
      'PAYMENT_CHAIN',
      `"${rpcUrl}" is no address of a node: http://HOST:PORT`,
    );
  }
  const transport = http(rpcUrl, {
    timeout,
    retryCount: 1,
    ...(fetch !== undefined && { fetchFn: fetch }),
  });
  const chainId =
    known.chainId ?? (await guard(() => createPublicClient({ transport }).getChainId()));
  const chain = defineChain({
    id: chainId,
    name: `chain ${chainId}`,
    nativeCurrency: { name: 'coin', symbol: 'COIN', decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  });
  const account = privateKeyToAccount(`0x${toHex(identity.exportPrivateKey())}`);
  const reader = createPublicClient({ chain, transport }) as PublicClient;
  return { reader, wallet: createWalletClient({ account, chain, transport }), chainId };
}

function parseAddress(what: string, text: string): Address {
  if (/^0x[0-9a-f]{40}$/i.test(text)) return text.toLowerCase() as Address;
  throw new PaymentError(
    'PAYMENT_CHAIN',
    `the ${what} "${text}" is no address: 0x and 40 hex digits`,
  );
}

function isPaymentError(error: unknown, code: PaymentError['code']): boolean {
  return error instanceof PaymentError && error.code === code;
}

/** Turn what viem throws into errors of ours, that say what to do. */
async function guard<T>(work: () => Promise<T>, payer?: Address): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PaymentError || !(error instanceof BaseError)) throw error;
    const away = error.walk(
      (cause) =>
        cause instanceof HttpRequestError ||
        cause instanceof TimeoutError ||
        cause instanceof WaitForTransactionReceiptTimeoutError,
    );
    if (away !== null) {
      throw new PaymentError(
        'PAYMENT_CHAIN_UNREACHABLE',
        `the node of the chain does not answer: ${error.shortMessage}`,
        { cause: error },
      );
    }
    const revert = error.walk((cause) => cause instanceof ContractFunctionRevertedError);
    const reason =
      revert instanceof ContractFunctionRevertedError
        ? (revert.data?.errorName ?? revert.reason ?? revert.shortMessage)
        : error.shortMessage;
    if (reason === 'TooEarly') {
      throw new PaymentError(
        'PAYMENT_CHANNEL',
        'the challenge period is not over yet: withdraw when it is',
        { cause: error },
      );
    }
    if (/insufficient funds|exceeds the balance/i.test(error.message)) {
      const where = payer === undefined ? '' : ` at ${payer.toLowerCase()}: send some there`;
      throw new PaymentError(
        'PAYMENT_FUNDS',
        `too little of the chain's coin${where} (${reason})`,
        {
          cause: error,
        },
      );
    }
    throw new PaymentError('PAYMENT_CHAIN', `the chain refused: ${reason}`, { cause: error });
  }
}
