import { MAX_ADDRESSES } from '@granary/kad';

/** Where addresses of ours come from, the best first. */
export type AddressSource = 'configured' | 'confirmed' | 'tunnel';

const ORDER: readonly AddressSource[] = ['configured', 'confirmed', 'tunnel'];

/**
 * The addresses that a node announces, put together from those who know some: what the user wrote,
 * what others could reach, what tunnels lend. The node announces anew when the list changes.
 */
export class Announcer {
  private readonly bySource = new Map<AddressSource, readonly string[]>();
  private list: readonly string[] = [];
  private announce: ((addresses: readonly string[]) => void) | undefined;

  /** All addresses, those that reach us directly first. */
  get addresses(): readonly string[] {
    return this.list;
  }

  /** Say who announces; what is known already is announced at once. */
  start(announce: (addresses: readonly string[]) => void): void {
    this.announce = announce;
    announce(this.list);
  }

  /** Say what one source has now, instead of what it had. */
  set(source: AddressSource, addresses: readonly string[]): void {
    this.bySource.set(source, [...addresses]);
    const all = new Set(ORDER.flatMap((one) => this.bySource.get(one) ?? []));
    const list = [...all].slice(0, MAX_ADDRESSES);
    if (list.length === this.list.length && list.every((one, i) => one === this.list[i])) return;
    this.list = list;
    this.announce?.(list);
  }
}
