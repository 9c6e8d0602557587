import type { components } from './generated/api-types.js';

/** Problem details (RFC 9457), as the bridge sends them. */
export type ProblemDocument = components['schemas']['Problem'];

/** What a bridge refused. */
export class BridgeProblem extends Error {
  override readonly name = 'BridgeProblem';
  /** Stable, such as `NoSuchBucket`; `Unknown` when what answered is no bridge. */
  readonly code: string;
  readonly problem: ProblemDocument | undefined;

  constructor(
    readonly status: number,
    given: unknown,
  ) {
    const problem = isProblem(given) ? given : undefined;
    super(problem?.detail ?? `the answer was ${status}, and not in the words of a bridge`);
    this.problem = problem;
    this.code = problem?.code ?? 'Unknown';
  }
}

function isProblem(given: unknown): given is ProblemDocument {
  const { code, detail } = (given ?? {}) as { code?: unknown; detail?: unknown };
  return typeof code === 'string' && typeof detail === 'string';
}
