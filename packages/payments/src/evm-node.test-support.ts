import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createServer, type AddressInfo } from 'node:net';
import { createPublicClient, createWalletClient, defineChain, http } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { Identity } from '@granary/kad';
import { evmAddressOf, toHex } from '@granary/protocol';
import { testToken } from './generated/contracts.test-support.js';

const require = createRequire(import.meta.url);
const CHAIN_ID = 31337;

/** A real EVM node (Foundry's anvil, from npm) on a free port of this machine. */
export class EvmNode {
  private child: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    private readonly args: readonly string[],
  ) {}

  static async start(args: readonly string[] = []): Promise<EvmNode> {
    const node = new EvmNode(await freePort(), args);
    await node.up();
    return node;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async up(): Promise<void> {
    // The binary is in a package of the registry; its wrapper finds it.
    const bin = require.resolve('@foundry-rs/anvil/bin.mjs');
    const fixed = ['--port', String(this.port), '--silent', '--chain-id', String(CHAIN_ID)];
    this.child = spawn(process.execPath, [bin, ...fixed, ...this.args], {
      stdio: 'ignore',
      detached: true,
    });
    for (let tries = 0; ; tries += 1) {
      const answers = await this.rpc('eth_chainId').then(
        () => true,
        () => false,
      );
      if (answers) return;
      if (tries > 600) throw new Error('anvil does not answer');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Kill it; the wrapper and the node are one process group. */
  async stop(): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    process.kill(-child.pid!, 'SIGTERM');
    await gone;
  }

  async rpc(method: string, params: readonly unknown[] = []): Promise<unknown> {
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const { result, error } = (await response.json()) as { result?: unknown; error?: unknown };
    if (error !== undefined) throw new Error(JSON.stringify(error));
    return result;
  }

  mine(blocks: number): Promise<unknown> {
    return this.rpc('anvil_mine', [`0x${blocks.toString(16)}`]);
  }

  /** Let time pass for the next block. */
  async pass(seconds: number): Promise<void> {
    await this.rpc('evm_increaseTime', [seconds]);
    await this.mine(1);
  }

  /** Give an identity coins. */
  async fund(identity: Identity, wei = 10n ** 20n): Promise<void> {
    const address = evmAddressOf(toHex(identity.publicKey));
    await this.rpc('anvil_setBalance', [address, `0x${wei.toString(16)}`]);
  }

  clients(identity: Identity) {
    const chain = defineChain({
      id: CHAIN_ID,
      name: 'test',
      nativeCurrency: { name: 'coin', symbol: 'COIN', decimals: 18 },
      rpcUrls: { default: { http: [this.url] } },
    });
    const account = privateKeyToAccount(`0x${toHex(identity.exportPrivateKey())}`);
    return {
      account,
      reader: createPublicClient({
        chain,
        transport: http(this.url),
        cacheTime: 0,
        pollingInterval: 20,
      }),
      wallet: createWalletClient({
        account,
        chain,
        transport: http(this.url),
        pollingInterval: 20,
      }),
    };
  }

  /** Put a token on the chain. */
  async token(identity: Identity): Promise<`0x${string}`> {
    const { wallet, reader } = this.clients(identity);
    const hash = await wallet.deployContract({ ...testToken, args: [] });
    const { contractAddress } = await reader.waitForTransactionReceipt({ hash });
    return contractAddress!;
  }

  async mint(token: `0x${string}`, by: Identity, to: Identity, amount: bigint): Promise<void> {
    const { wallet, reader } = this.clients(by);
    const address = evmAddressOf(toHex(to.publicKey)) as `0x${string}`;
    const hash = await wallet.writeContract({
      address: token,
      abi: testToken.abi,
      functionName: 'mint',
      args: [address, amount],
    });
    await reader.waitForTransactionReceipt({ hash });
  }

  async tokenBalance(token: `0x${string}`, of: string): Promise<bigint> {
    const { reader } = this.clients(Identity.generate());
    return (await reader.readContract({
      address: token,
      abi: testToken.abi,
      functionName: 'balanceOf',
      args: [of as `0x${string}`],
    })) as bigint;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
