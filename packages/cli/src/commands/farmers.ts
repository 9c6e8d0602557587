import { type Context, withRenter } from '../context.js';
import { printable } from '../output.js';
import { formatSize } from '../units.js';

/** `granary farmers` */
export async function farmers(
  context: Context,
  options: { refresh?: boolean; pardon?: string; evidence?: boolean },
): Promise<void> {
  const { output } = context;
  await withRenter(context, async (renter) => {
    if (options.evidence === true) {
      for (const proof of await renter.evidence())
        process.stdout.write(`${JSON.stringify(proof)}\n`);
      return;
    }
    if (options.pardon !== undefined) await renter.pardon(options.pardon);
    if (options.refresh === true) await renter.farmers({ refresh: true });
    const standings = await renter.standings();
    for (const { record, shards, explanation } of standings) {
      const { contact, terms, latencyMs, reputation } = record;
      output.result({
        nodeId: contact.nodeId,
        addresses: contact.addresses,
        shards,
        terms,
        latencyMs,
        reputation,
        explanation,
      });
    }
    if (standings.length === 0) {
      output.line('No farmer was met yet: "granary farmers --refresh" asks the network.');
      return;
    }
    for (const { record, shards, explanation } of standings) {
      const { contact, terms, latencyMs, reputation } = record;
      const { standing } = reputation;
      const operator = terms.operator === null ? '' : ` (operator ${terms.operator})`;
      output.line(`${contact.nodeId}  ${standing}${terms.leaving ? ', leaving' : ''}`);
      output.line(`  why    ${printable(explanation)}`);
      output.line(
        `  holds  ${shards} shards; ${formatSize(terms.freeBytes)} free; answers in ${latencyMs} ms`,
      );
      output.line(`  at     ${printable(contact.addresses.join(', ') + operator)}`);
    }
  });
}
