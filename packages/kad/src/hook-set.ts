import type { Contact } from './contact.js';
import { KadError, messageOf } from './errors.js';
import type { Logger } from './logger.js';
import type { LookupObserver, LookupResult } from './lookup.js';
import type {
  ContactSource,
  LookupStart,
  OutgoingCall,
  Plugin,
  PluginHooks,
  PluginHost,
  RemovalReason,
} from './plugin.js';
import type { RpcReply } from './rpc-channel.js';
import type { Remote } from './transport.js';

/** The plugins of a node: calls the hooks of each, in the order in which they were installed. */
export class HookSet {
  private readonly names = new Set<string>();
  private readonly all: PluginHooks[] = [];
  // The hooks that are called for every message are looked up once.
  private readonly gates: PluginHooks[] = [];
  private readonly admitters: PluginHooks[] = [];
  private readonly callers: PluginHooks[] = [];
  private readonly lookups: PluginHooks[] = [];

  constructor(private readonly logger: Logger) {}

  /** @throws KadError KAD_BAD_PARAMETERS when a plugin of that name is there already. */
  install(plugin: Plugin, host: PluginHost): PluginHooks {
    if (this.names.has(plugin.name)) {
      throw new KadError('KAD_BAD_PARAMETERS', `the plugin ${plugin.name} is installed already`);
    }
    this.names.add(plugin.name);
    const hooks = plugin.install(host);
    this.all.push(hooks);
    if (hooks.onMessage !== undefined) this.gates.push(hooks);
    if (hooks.admit !== undefined) this.admitters.push(hooks);
    if (hooks.onCall !== undefined) this.callers.push(hooks);
    if (hooks.lookup !== undefined) this.lookups.push(hooks);
    return hooks;
  }

  /** @throws KadError of the plugin that refuses the message. */
  gate(remote: Remote, size: number): void {
    for (const hooks of this.gates) hooks.onMessage!(remote, size);
  }

  refused(remote: Remote, error: unknown): void {
    for (const hooks of this.all) this.guard(() => hooks.onRefused?.(remote, error));
  }

  /** Pass a call through the middleware of all plugins, then to `send`. */
  call(call: OutgoingCall, send: (call: OutgoingCall) => Promise<RpcReply>): Promise<RpcReply> {
    const step = (at: number, current: OutgoingCall): Promise<RpcReply> => {
      const hooks = this.callers[at];
      return hooks === undefined
        ? send(current)
        : hooks.onCall!(current, (passed) => step(at + 1, passed));
    };
    return step(0, call);
  }

  admits(contact: Contact, source: ContactSource): boolean {
    for (const hooks of this.admitters) {
      if (this.guard(() => hooks.admit!(contact, source)) === false) return false;
    }
    return true;
  }

  added(contact: Contact): void {
    for (const hooks of this.all) this.guard(() => hooks.contactAdded?.(contact));
  }

  removed(contact: Contact, reason: RemovalReason): void {
    for (const hooks of this.all) this.guard(() => hooks.contactRemoved?.(contact, reason));
  }

  silent(contact: Contact): void {
    for (const hooks of this.all) this.guard(() => hooks.contactSilent?.(contact));
  }

  /** One observer that tells those of all plugins; undefined when no plugin wants to know. */
  lookup(start: LookupStart): LookupObserver | undefined {
    const observers = this.lookups
      .map((hooks) => this.guard(() => hooks.lookup!(start)))
      .filter((observer) => observer !== undefined);
    if (observers.length === 0) return undefined;
    const each = (tell: (observer: LookupObserver) => void) => {
      for (const observer of observers) this.guard(() => tell(observer));
    };
    return {
      asked: (contact, path, depth) => each((o) => o.asked?.(contact, path, depth)),
      answered: (contact, named, hasValue) => each((o) => o.answered?.(contact, named, hasValue)),
      failed: (contact, namedBy, error) => each((o) => o.failed?.(contact, namedBy, error)),
      finished: (result: LookupResult<unknown>) => each((o) => o.finished?.(result)),
    };
  }

  async start(): Promise<void> {
    for (const hooks of this.all) await hooks.start?.();
  }

  /** What one plugin can't do now does not keep the others from their work. */
  async maintain(): Promise<void> {
    for (const hooks of this.all) {
      if (hooks.maintain === undefined) continue;
      await hooks
        .maintain()
        .catch((error: unknown) =>
          this.logger.warn({ error: messageOf(error) }, 'maintenance did not finish'),
        );
    }
  }

  async leave(signal: AbortSignal): Promise<void> {
    for (const hooks of this.all) {
      await hooks
        .leave?.(signal)
        .catch((error: unknown) =>
          this.logger.debug({ error: messageOf(error) }, 'a plugin could not take its leave'),
        );
    }
  }

  /** In reverse order: what was installed last may need what was installed before it. */
  async stop(): Promise<void> {
    for (const hooks of [...this.all].reverse()) {
      try {
        await hooks.stop?.();
      } catch (error) {
        this.logger.warn({ error: messageOf(error) }, 'a plugin could not stop in good order');
      }
    }
  }

  private guard<T>(run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      this.logger.error({ error: messageOf(error) }, 'a hook of a plugin failed');
      return undefined;
    }
  }
}
