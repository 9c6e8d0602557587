import type * as Prometheus from 'prom-client';
import { KadError } from '../errors.js';
import type { Plugin, PluginHooks, PluginHost } from '../plugin.js';
import { isSilence } from '../silence.js';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Label values that come from the network are bounded by this list; the rest is "other". */
const METHODS = new Set(['PING', 'FIND_NODE', 'FIND_VALUE', 'STORE', 'LEAVE', 'DOWN']);

/** Counts what a node does, for Prometheus. Names begin with `kad_`. */
export class Metrics implements Plugin {
  readonly name = 'metrics';

  private constructor(
    private readonly prometheus: typeof Prometheus,
    /** Where the metrics are. */
    readonly registry: Prometheus.Registry,
    private readonly methods: readonly string[],
  ) {}

  /**
   * Loads the Prometheus library, which is large, and makes the plugin.
   *
   * @param registry - where the metrics go; one of its own by default, so that several nodes in one
   * process do not get into each other's way
   * @param methods - names of further methods to count by name
   */
  static async create({
    registry,
    methods = [],
  }: { registry?: Prometheus.Registry; methods?: readonly string[] } = {}): Promise<Metrics> {
    const prometheus = await import('prom-client');
    return new Metrics(prometheus, registry ?? new prometheus.Registry(), methods);
  }

  install({ node, clock }: PluginHost): PluginHooks {
    const { Counter, Gauge, Histogram } = this.prometheus;
    const registers = [this.registry];
    const names = new Set([...METHODS, ...this.methods]);
    const label = (method: string) => (names.has(method) ? method : 'other');
    const seconds = (since: number) => (clock.now() - since) / 1000;
    const requests = new Counter({
      name: 'kad_requests_total',
      help: 'Requests answered, by method and outcome (ok, or the code of the error)',
      labelNames: ['method', 'outcome'],
      registers,
    });
    const calls = new Histogram({
      name: 'kad_call_seconds',
      help: 'Time of calls to other nodes, by method and outcome (ok, error, silent)',
      labelNames: ['method', 'outcome'],
      buckets: SECONDS,
      registers,
    });
    const refused = new Counter({
      name: 'kad_messages_refused_total',
      help: 'Messages refused before they reached a method, by the code of the error',
      labelNames: ['code'],
      registers,
    });
    const lookups = new Histogram({
      name: 'kad_lookup_seconds',
      help: 'Time of lookups, by kind (node, value)',
      labelNames: ['kind'],
      buckets: SECONDS,
      registers,
    });
    const questions = new Histogram({
      name: 'kad_lookup_messages',
      help: 'Questions asked in a lookup',
      labelNames: ['kind'],
      buckets: [5, 10, 20, 30, 40, 60, 80, 120, 200, 400],
      registers,
    });
    const removed = new Counter({
      name: 'kad_contacts_removed_total',
      help: 'Contacts that left the routing table, by reason',
      labelNames: ['reason'],
      registers,
    });
    new Gauge({
      name: 'kad_contacts',
      help: 'Contacts in the routing table',
      registers,
      collect() {
        this.set(node.routingTable.size);
      },
    });
    return {
      onRefused: (_remote, error) => refused.inc({ code: codeOf(error) }),
      onRequest: async (request, next) => {
        const method = label(request.method);
        try {
          const result = await next(request);
          requests.inc({ method, outcome: 'ok' });
          return result;
        } catch (error) {
          requests.inc({ method, outcome: codeOf(error) });
          throw error;
        }
      },
      onCall: async (call, next) => {
        const begun = clock.now();
        const method = label(call.method);
        try {
          const reply = await next(call);
          calls.observe({ method, outcome: 'ok' }, seconds(begun));
          return reply;
        } catch (error) {
          const outcome = isSilence(error) ? 'silent' : 'error';
          calls.observe({ method, outcome }, seconds(begun));
          throw error;
        }
      },
      contactRemoved: (_contact, reason) => removed.inc({ reason }),
      lookup: ({ kind }) => {
        const begun = clock.now();
        return {
          finished: ({ messages }) => {
            lookups.observe({ kind }, seconds(begun));
            questions.observe({ kind }, messages);
          },
        };
      },
    };
  }
}

function codeOf(error: unknown): string {
  return error instanceof KadError ? error.code : 'other';
}
