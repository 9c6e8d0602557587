import type { CareReport } from '@granary/renter';
import { CliError } from '../cli-error.js';
import { type Context, withRenter } from '../context.js';
import { explain } from '../exit-codes.js';
import { printable } from '../output.js';
import { parseDuration, parseSize } from '../units.js';

/** Options of `granary repair`. */
export interface RepairOptions {
  readonly once?: boolean;
  readonly auditAll?: boolean;
  readonly interval?: string;
  readonly auditInterval?: string;
  readonly rate?: string;
  readonly offlineAfter: string;
}

/** `granary repair`: look after what is stored, once or until a signal comes. */
export async function repair(context: Context, options: RepairOptions): Promise<void> {
  const { defaultReputationSettings } = await import('@granary/renter');
  const { output, signal } = context;
  const settings = {
    ...(options.interval !== undefined && { roundMs: parseDuration(options.interval) }),
    ...(options.auditInterval !== undefined && {
      auditIntervalMs: parseDuration(options.auditInterval),
    }),
    ...(options.rate !== undefined && { repairBytesPerSecond: parseSize(options.rate) }),
    reputation: { ...defaultReputationSettings, offlineMs: parseDuration(options.offlineAfter) },
  };
  await withRenter(
    context,
    async (renter) => {
      if (options.once === true) {
        const report = await renter.care({
          signal,
          ...(options.auditAll === true && { auditAll: true }),
        });
        show(context, report);
        const left = report.endangered - report.repaired;
        if (left > 0 || report.lost > 0) {
          throw new CliError(
            'CLI_AT_RISK',
            `${left} segments could not be repaired now, ${report.lost} of them have too few shards to read`,
          );
        }
        return;
      }
      output.line('Looking after what is stored. Ctrl-C stops.');
      await renter.keepCare(signal, (result) => {
        if (!('error' in result)) return show(context, result);
        const { code, message } = explain(result.error);
        output.result({ event: 'failed', code, message });
        output.note(`  this round failed, the next will try again: ${printable(message)}`);
      });
    },
    settings,
  );
}

function show({ output }: Context, report: CareReport): void {
  output.result({ event: 'round', time: new Date().toISOString(), ...report });
  const { audits, renewals, garbage, payments, shares } = report;
  const parts = [
    `${report.segments} segments`,
    report.endangered === 0
      ? 'none in danger'
      : `${report.repaired} of ${report.endangered} in danger repaired (${report.placed} shards)`,
    `audits: ${audits.held} passed, ${audits.failed} failed, ${audits.unanswered} unanswered`,
    ...(renewals.renewed + renewals.refused > 0
      ? [`${renewals.renewed} contracts renewed, ${renewals.refused} not`]
      : []),
    ...(payments.paid.length > 0 ? [`${payments.paid.length} farmers paid`] : []),
    ...(payments.waiting.length > 0
      ? [`${payments.waiting.length} payments wait for the chain`]
      : []),
    ...(shares.placed > 0 ? [`${shares.placed} shares renewed`] : []),
    ...(garbage.confirmed > 0 ? [`${garbage.confirmed} shards deleted`] : []),
  ];
  output.line(`${new Date().toISOString().slice(0, 19)}  ${parts.join('; ')}`);
  if (report.lost > 0) {
    output.note(`  ${report.lost} segments have fewer shards than it takes to read them`);
  }
  for (const { farmer, reason } of payments.failures) {
    output.note(`  farmer ${farmer} was not paid: ${printable(reason)}`);
  }
  for (const { farmer, amount, currency } of payments.disputed) {
    output.note(`  farmer ${farmer} claims ${amount} ${printable(currency)} too much: not paid`);
  }
  for (const { object, reason } of report.failures) {
    output.note(`  ${printable(object)}: ${printable(reason)}`);
  }
  for (const { share, reason } of shares.failures) {
    output.note(`  share ${share} is not up to date: ${printable(reason)}`);
  }
  if (report.indexFailure !== null) {
    output.note(`  the index in the network is not up to date: ${printable(report.indexFailure)}`);
  }
}
