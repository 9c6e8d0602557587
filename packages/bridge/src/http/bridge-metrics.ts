import type * as Prometheus from 'prom-client';
import { api } from '../rest/api.js';
import { OPERATIONS } from '../s3/operation.js';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
/** Label values that clients choose are bounded by this list. */
const KNOWN: ReadonlySet<string> = new Set([
  ...OPERATIONS,
  'Preflight',
  ...Object.keys(api).map((operation) => `rest.${operation}`),
  'rest.getDescription',
]);

/** One request that was answered. */
export interface RequestFigures {
  readonly operation: string;
  readonly status: number;
  /** The S3 code of an error. */
  readonly code?: string;
  readonly seconds: number;
  readonly received: number;
  readonly sent: number;
}

/** Counts what a bridge does, for Prometheus. Names begin with `bridge_`. */
export class BridgeMetrics {
  private readonly requests;
  private readonly seconds;
  private readonly errors;
  private readonly received;
  private readonly sent;

  private constructor(
    { Counter, Histogram }: typeof Prometheus,
    /** Where the metrics are. */
    readonly registry: Prometheus.Registry,
  ) {
    const registers = [registry];
    this.requests = new Counter({
      name: 'bridge_requests_total',
      help: 'Requests answered, by operation and status',
      labelNames: ['operation', 'status'],
      registers,
    });
    this.seconds = new Histogram({
      name: 'bridge_request_seconds',
      help: 'Time from the head of a request to the end of its answer, by operation',
      labelNames: ['operation'],
      buckets: SECONDS,
      registers,
    });
    this.errors = new Counter({
      name: 'bridge_errors_total',
      help: 'Requests refused, by the S3 code of the error',
      labelNames: ['code'],
      registers,
    });
    this.received = new Counter({
      name: 'bridge_received_bytes_total',
      help: 'Bytes of bodies received',
      registers,
    });
    this.sent = new Counter({
      name: 'bridge_sent_bytes_total',
      help: 'Bytes of bodies sent',
      registers,
    });
  }

  /** Loads the Prometheus library, which is large. */
  static async create(): Promise<BridgeMetrics> {
    const prometheus = await import('prom-client');
    return new BridgeMetrics(prometheus, new prometheus.Registry());
  }

  /** Show a figure that is read when it is asked for. */
  async gauge(name: string, help: string, read: () => number): Promise<void> {
    const { Gauge } = await import('prom-client');
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  observe({ operation, status, code, seconds, received, sent }: RequestFigures): void {
    const name = KNOWN.has(operation) ? operation : 'other';
    this.requests.inc({ operation: name, status: String(status) });
    this.seconds.observe({ operation: name }, seconds);
    if (code !== undefined) this.errors.inc({ code });
    this.received.inc(received);
    this.sent.inc(sent);
  }
}
