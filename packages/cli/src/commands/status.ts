import { type Context, withRenter } from '../context.js';
import { printable, table } from '../output.js';
import { formatDuration, formatSize } from '../units.js';

const RESUME = 'put it again to go on, or drop it with "granary gc --unfinished"';
const CLEAR = 'if it was cut off, "granary gc" clears it up';

/** `granary status` */
export async function status(context: Context, options: { offline?: boolean }): Promise<void> {
  const { output, home } = context;
  await withRenter(context, async (renter) => {
    const own = await renter.status();
    const farmers = options.offline === true ? [] : await renter.farmers({ refresh: true });
    const free = farmers.reduce((sum, { terms }) => sum + terms.freeBytes, 0);
    output.result({
      home,
      ...own,
      farmers: farmers.map(({ contact, terms, latencyMs, failures }) => ({
        nodeId: contact.nodeId,
        addresses: contact.addresses,
        terms,
        latencyMs,
        failures,
      })),
    });
    const rows = [
      ['home', home],
      ['node ID', own.nodeId],
      ['stored', `${own.objects} objects in ${own.buckets} buckets, ${formatSize(own.bytes)}`],
      [
        'at farmers',
        `${own.shards} shards, ${formatSize(own.storedBytes)} (the index for recovery included)`,
      ],
      ['to delete', `${own.pendingDeletes} shards at farmers that could not be reached`],
      ...own.unfinishedUploads.map(({ bucket, name, started, resumable }) => [
        'unfinished',
        `${printable(`${bucket}/${name}`)}, begun ${formatDuration(Date.now() - started)} ago: ${resumable ? RESUME : CLEAR}`,
      ]),
    ];
    if (options.offline !== true) {
      rows.push(['farmers', `${farmers.length} answer, ${formatSize(free)} free`]);
    }
    output.line(table(rows));
    if (farmers.length === 0) return;
    output.line('');
    output.line(
      table([
        ['farmer', 'address', 'free', 'answers in', 'failures'],
        ...farmers.map(({ contact, terms, latencyMs, failures }) => [
          contact.nodeId,
          contact.addresses[0] ?? '',
          formatSize(terms.freeBytes),
          formatDuration(latencyMs),
          String(failures),
        ]),
      ]),
    );
  });
}
