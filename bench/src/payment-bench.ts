import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { type Contact, Identity, silentLogger, systemClock } from '@granary/kad';
import { LmdbRows, Payee, PaymentBook, ledgerSettlement } from '@granary/payments';
import { LEDGER_DOMAIN, checkVoucher, payRequest, signVoucher, toHex } from '@granary/protocol';
import { Renter, RenterKeys } from '@granary/renter';
import { firstLine } from './first-line.js';
import { granaryCommand } from './granary-command.js';
import { childCpuMs } from './child-cpu.js';
import { median } from './median.js';

const SIZE = Number(process.env['GRANARY_BENCH_MIB'] ?? 128) * 1024 * 1024;
const ROUNDS = 9;
/** Rounds before those that count: farmers run for days, and code that still runs cold costs several times as much. */
const WARM_UP = 4;
/** The object is read so often in a round. */
const READS = 2;
const rate = (count: number, ms: number) => `${Math.round((count * 1000) / ms)} a second`;

/** A network of farmers that ask for these prices, and a renter that pays them. */
async function openNetwork(directory: string, price: string) {
  const args = ['network', '--json', '--price', price, '--egress-price', price];
  const child: ChildProcess = spawn(process.execPath, [...granaryCommand, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { bootstrap } = JSON.parse(await firstLine(child)) as { bootstrap: string };
  const renter = await Renter.open({
    directory: join(directory, `renter-${price}`),
    keys: RenterKeys.fromEntropy(randomBytes(32)),
    bootstrap: [bootstrap],
    logger: silentLogger,
    settings: { maxStoragePrice: 10n ** 12n, maxEgressPrice: 10n ** 12n },
  });
  const stop = async () => {
    await renter.close();
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
  };
  /** CPU of the farmers and of this process, in milliseconds. */
  const cpuMs = async () => {
    const { user, system } = process.cpuUsage();
    return ((await childCpuMs(child.pid!)) ?? NaN) + (user + system) / 1000;
  };
  return { renter, cpuMs, stop };
}

async function benchVouchers(directory: string, report: (line: string) => void): Promise<void> {
  const [payer, payee] = [Identity.generate(), Identity.generate()];
  const key = toHex(payer.publicKey);
  const channel = toHex(randomBytes(32));
  const COUNT = 5_000;
  let begun = performance.now();
  const vouchers = Array.from({ length: COUNT }, (_, i) =>
    signVoucher(payer, LEDGER_DOMAIN, channel, BigInt(i + 1)),
  );
  report(`  vouchers signed     ${rate(COUNT, performance.now() - begun)}`);
  begun = performance.now();
  for (const voucher of vouchers) checkVoucher(voucher, LEDGER_DOMAIN, key);
  report(`  vouchers checked    ${rate(COUNT, performance.now() - begun)}`);
  const settlement = ledgerSettlement('credit', payee.nodeId);
  const taker = new Payee({
    identity: payee,
    book: new PaymentBook(LmdbRows.open(join(directory, 'bench.lmdb')), systemClock),
    settlement,
    creditLimit: 0n,
    clock: systemClock,
    logger: silentLogger,
  });
  const sender = { nodeId: payer.nodeId, publicKey: key } as Contact;
  const TAKEN = 500;
  begun = performance.now();
  for (const voucher of vouchers.slice(0, TAKEN)) {
    const request = payRequest('credit', settlement.describe(channel), voucher);
    await taker.answerPay(request, { sender });
  }
  const ms = performance.now() - begun;
  report(`  taken by a farmer   ${rate(TAKEN, ms)}, one after the other, each fsynced`);
  await taker.close();
  const bytes = Buffer.byteLength(JSON.stringify(vouchers.at(-1)));
  report(`  bytes of a voucher  ${bytes} as JSON; 128 as call data of the contract's redeem`);
}

/**
 * Vouchers a second, bytes of each, and the same object (of GRANARY_BENCH_MIB, 128 by default) through a free and a paid
 * network, in turns.
 */
export async function benchPayments(report: (line: string) => void): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-'));
  try {
    await benchVouchers(directory, report);
    const source = join(directory, 'source');
    await writeFile(source, randomBytes(SIZE));
    const free = await openNetwork(directory, '0');
    const paid = await openNetwork(directory, '1000000000');
    try {
      const path = { bucket: 'bench', name: 'object' };
      const times: Record<string, number[]> = {};
      const cpus: Record<string, number[]> = {};
      for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
        const order = round % 2 === 0 ? [free, paid] : [paid, free];
        for (const { renter, cpuMs } of order) {
          const name = renter === free.renter ? 'free' : 'paid';
          const measure = async (what: 'put' | 'get', work: () => Promise<void>) => {
            const [cpu, begun] = [await cpuMs(), performance.now()];
            await work();
            if (round < WARM_UP) return;
            (times[`${what} ${name}`] ??= []).push(performance.now() - begun);
            (cpus[`${what} ${name}`] ??= []).push((await cpuMs()) - cpu);
          };
          await measure('put', async () => {
            await renter.put(path, { kind: 'file', path: source });
          });
          await measure('get', async () => {
            for (let i = 0; i < READS; i += 1) {
              for await (const part of renter.get(path)) void part;
            }
          });
        }
      }
      for (const what of ['put', 'get'] as const) {
        const [without, withPay] = [median(times[`${what} free`]!), median(times[`${what} paid`]!)];
        const [cpu, cpuWithPay] = [median(cpus[`${what} free`]!), median(cpus[`${what} paid`]!)];
        const bytes = what === 'get' ? READS * SIZE : SIZE;
        const mb = (ms: number) => `${(bytes / 1000 / ms).toFixed(0)} MB/s`;
        const lost = 100 * (1 - without / withPay);
        const more = 100 * (cpuWithPay / cpu - 1);
        report(
          `  ${what}  free ${mb(without)}, paid ${mb(withPay)}: ${lost.toFixed(1)} % of throughput lost; ` +
            `CPU of all processes ${cpu.toFixed(0)} and ${cpuWithPay.toFixed(0)} ms: ${more.toFixed(1)} % more ` +
            `(medians of ${ROUNDS} rounds in turns, after ${WARM_UP} to warm up)`,
        );
      }
      const promised = [...paid.renter.payer.book.channels()].filter(({ voucher }) => voucher);
      report(`  ${promised.length} farmers were paid in vouchers on the way`);
    } finally {
      await free.stop();
      await paid.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
