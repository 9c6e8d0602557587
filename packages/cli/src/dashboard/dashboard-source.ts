import type { Kind, ObjectsPage, State } from '@granary/web';

/** What a dashboard shows. */
export interface DashboardSource {
  readonly kind: Kind;
  /** How it is now. Called about every two seconds while somebody looks. */
  state(signal: AbortSignal): Promise<State>;
  /** Figures to remember, in the order of the kind's fields. Called every five seconds; cheap. */
  sample(): readonly number[];
  /** A page of the list of objects, where there is one. */
  objects?(page: number): ObjectsPage;
  /** Free what it has, and end what it does. */
  close(): Promise<void>;
}
