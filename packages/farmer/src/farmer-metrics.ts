import type { Registry } from 'prom-client';
import type { Farmer, FarmerStats } from './farmer.js';

type Figure = {
  [K in keyof FarmerStats]: FarmerStats[K] extends number ? K : never;
}[keyof FarmerStats];

const GAUGES: readonly [string, Figure, string][] = [
  ['farmer_quota_bytes', 'quotaBytes', 'Bytes of shards that may be kept'],
  ['farmer_used_bytes', 'usedBytes', 'Bytes of shards that are kept'],
  ['farmer_reserved_bytes', 'reservedBytes', 'Bytes reserved for uploads under way'],
  ['farmer_free_bytes', 'freeBytes', 'Bytes that are free'],
  ['farmer_shards', 'shards', 'Shards that are kept'],
  ['farmer_missing_shards', 'missing', 'Shards of the book whose files were missing'],
  ['farmer_damaged_shards', 'damaged', 'Shards found damaged'],
  ['farmer_connections', 'connections', 'Transfer connections open'],
  ['farmer_tunnels', 'tunnels', 'Tunnels through which this farmer is reached'],
  ['farmer_tunnel_clients', 'tunnelClients', 'Nodes for which this farmer is a tunnel'],
];
const COUNTERS: readonly [string, Figure, string][] = [
  ['farmer_uploads_total', 'uploads', 'Shards taken'],
  ['farmer_downloads_total', 'downloads', 'Downloads served'],
  ['farmer_deletes_total', 'deletes', 'Shards deleted'],
  ['farmer_received_bytes_total', 'bytesIn', 'Bytes of shards received'],
  ['farmer_sent_bytes_total', 'bytesOut', 'Bytes of shards sent'],
  ['farmer_tunnel_bytes_total', 'tunnelBytes', 'Bytes carried as a tunnel, both ways'],
  ['farmer_refused_total', 'refused', 'Transfers refused'],
  ['farmer_audits_total', 'audits', 'Audits answered'],
  ['farmer_audits_lost_total', 'auditsLost', 'Audits in which a loss was admitted'],
];

/** Put a farmer's figures into a Prometheus registry; they are read when they are asked for. */
export async function collectFarmerMetrics(
  farmer: Pick<Farmer, 'stats'>,
  registry: Registry,
): Promise<void> {
  // It is large, and only those who want metrics need it.
  const { Counter, Gauge } = await import('prom-client');
  const registers = [registry];
  for (const [name, figure, help] of GAUGES) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(farmer.stats()[figure]);
      },
    });
  }
  for (const [name, figure, help] of COUNTERS) {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(farmer.stats()[figure]);
      },
    });
  }
}
