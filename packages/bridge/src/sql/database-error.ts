/** The stable codes of {@link DatabaseError}. */
export type DatabaseErrorCode =
  /** It can't be reached, or is too busy. A write may have happened if it was being committed. */
  | 'DATABASE_UNAVAILABLE'
  /** It answers, and refuses: a full disk, no right, a statement that it does not take. */
  | 'DATABASE_REFUSED'
  /** What is in it was made by a newer Granary. */
  | 'DATABASE_NEWER';

/** What a database could not do, and why. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';

  constructor(
    readonly code: DatabaseErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Thrown by work that found itself overtaken by another transaction: it is run again. */
export class Overtaken extends Error {
  override readonly name = 'Overtaken';
}
