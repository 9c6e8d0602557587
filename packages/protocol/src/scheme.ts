import { z } from 'zod';
import { ProtocolError } from './errors.js';

/** How many shards a segment needs, keeps, waits for and makes: 1 <= k <= repair <= success <= n <= 256. */
export interface RedundancyScheme {
  readonly k: number;
  readonly repair: number;
  readonly success: number;
  readonly n: number;
}

/** Schema of a {@link RedundancyScheme} (bounds only; {@link checkScheme} checks the order). */
export const schemeSchema = z.strictObject({
  k: z.number().int().min(1).max(256),
  repair: z.number().int().min(1).max(256),
  success: z.number().int().min(1).max(256),
  n: z.number().int().min(1).max(256),
});

/** Check a scheme's order and return it. @throws ProtocolError PROTOCOL_MALFORMED. */
export function checkScheme(scheme: RedundancyScheme): RedundancyScheme {
  const { k, repair, success, n } = scheme;
  const whole = [k, repair, success, n].every((x) => Number.isInteger(x));
  if (!whole || k < 1 || k > repair || repair > success || success > n || n > 256) {
    throw new ProtocolError(
      'PROTOCOL_MALFORMED',
      `redundancy scheme ${k}/${repair}/${success}/${n}: need 1 <= k <= repair <= success <= n <= 256`,
    );
  }
  return scheme;
}

/**
 * Parse a scheme written `k/repair/success/n`, as in `4/6/10/12`.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED.
 */
export function parseScheme(text: string): RedundancyScheme {
  const match = /^(\d{1,3})\/(\d{1,3})\/(\d{1,3})\/(\d{1,3})$/.exec(text);
  if (match === null) {
    throw new ProtocolError(
      'PROTOCOL_MALFORMED',
      `redundancy scheme "${text}": write it k/repair/success/n, for example 4/6/10/12`,
    );
  }
  const [k, repair, success, n] = match.slice(1).map(Number) as [number, number, number, number];
  return checkScheme({ k, repair, success, n });
}

/** The scheme as text, `k/repair/success/n`. */
export function formatScheme({ k, repair, success, n }: RedundancyScheme): string {
  return `${k}/${repair}/${success}/${n}`;
}
