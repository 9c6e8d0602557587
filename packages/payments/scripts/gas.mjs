// Prints what each operation of the channels contract costs in gas, on a real EVM (anvil). Build first.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { createPublicClient, createWalletClient, erc20Abi, http } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { foundry } from 'viem/chains';
import { Identity } from '@granary/kad';
import { signVoucher } from '@granary/protocol';

const PORT = 18_545;
const root = fileURLToPath(new URL('..', import.meta.url));
const generated = async (file, name) => {
  const text = await readFile(`${root}/src/generated/${file}`, 'utf8');
  return JSON.parse(new RegExp(`export const ${name} = (.*) as const;`).exec(text)[1]);
};
const channels = await generated('contracts.ts', 'granaryChannels');
const testToken = await generated('contracts.test-support.ts', 'testToken');
const require = createRequire(import.meta.url);
const anvil = spawn(
  process.execPath,
  [require.resolve('@foundry-rs/anvil/bin.mjs'), '--silent', '--port', String(PORT)],
  { stdio: 'ignore', detached: true },
);
try {
  const transport = http(`http://127.0.0.1:${PORT}`, { retryCount: 20, retryDelay: 100 });
  const chain = foundry;
  const reader = createPublicClient({ chain, transport, pollingInterval: 20 });
  const identity = Identity.fromPrivateKey(randomBytes(32));
  const key = Buffer.from(identity.exportPrivateKey()).toString('hex');
  const account = privateKeyToAccount(`0x${key}`);
  const payee = privateKeyToAccount(generatePrivateKey());
  for (const { address } of [account, payee]) {
    await reader.request({ method: 'anvil_setBalance', params: [address, '0x56bc75e2d63100000'] });
  }
  const walletOf = (by) => createWalletClient({ account: by, chain, transport });
  const mined = async (hash) => reader.waitForTransactionReceipt({ hash });
  const deploy = async ({ abi, bytecode }) =>
    mined(await walletOf(account).deployContract({ abi, bytecode, args: [] }));
  const deployed = await deploy(channels);
  const contract = deployed.contractAddress;
  const token = (await deploy(testToken)).contractAddress;
  const call = async (address, abi, functionName, args, value = 0n, by = account) =>
    (await mined(await walletOf(by).writeContract({ address, abi, functionName, args, value })))
      .gasUsed;
  await call(token, testToken.abi, 'mint', [account.address, 10n ** 18n]);
  await call(token, erc20Abi, 'approve', [contract, 10n ** 18n]);
  const zero = `0x${'0'.repeat(40)}`;
  const rows = {};
  for (const of of [zero, token]) {
    const salt = `0x${randomBytes(32).toString('hex')}`;
    const value = (amount) => (of === zero ? amount : 0n);
    const id = await reader.readContract({
      address: contract,
      abi: channels.abi,
      functionName: 'channelId',
      args: [account.address, payee.address, of, salt],
    });
    const redeem = (amount) => {
      const domain = { chainId: chain.id, contract: contract.toLowerCase() };
      const { signature } = signVoucher(identity, domain, id.slice(2), amount);
      return [id, amount, `0x${signature.slice(0, 64)}`, `0x${signature.slice(64)}`];
    };
    const run = async (label, name, args, paid = 0n, by = account) =>
      (rows[label] ??= []).push(await call(contract, channels.abi, name, args, paid, by));
    await run('open', 'open', [payee.address, of, salt, 0, 1000n], value(1000n));
    await run('top up', 'topUp', [id, 1000n, 2000n], value(1000n));
    await run('redeem, the first time', 'redeem', redeem(500n));
    await run('redeem, again', 'redeem', redeem(900n));
    await run('request close', 'requestClose', [id]);
    await run('release', 'release', [id], 0n, payee);
    await run('withdraw', 'withdraw', [id]);
  }
  console.log('| operation | coin | ERC-20 token |\n| --- | ---: | ---: |');
  for (const [label, [coin, erc20]] of Object.entries(rows)) {
    console.log(`| ${label} | ${coin} | ${erc20} |`);
  }
  console.log(`| deploy the contract | ${deployed.gasUsed} | |`);
} finally {
  process.kill(-anvil.pid, 'SIGTERM');
}
