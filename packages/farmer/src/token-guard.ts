import type { Clock } from '@granary/kad';
import { type TransferDirection, type TransferToken, parseToken } from '@granary/protocol';
import { FarmerError } from './errors.js';

/** The most nonces remembered at one time. */
const MAX_NONCES = 200_000;

/** Checks tokens, and that none is used twice. */
export class TokenGuard {
  private readonly seen = new Map<string, number>();

  constructor(
    private readonly farmer: string,
    private readonly clock: Clock,
  ) {}

  /**
   * Check a token and use it up.
   *
   * @param peer - node ID that the TLS connection proved, if any
   * @throws ProtocolError for a bad token; FarmerError FARMER_FORBIDDEN, FARMER_REPLAYED or
   * FARMER_BUSY.
   */
  take(value: unknown, direction: TransferDirection, peer: string | undefined): TransferToken {
    const now = this.clock.now();
    const token = parseToken(value, { farmer: this.farmer, direction, now });
    if (peer !== undefined && peer !== token.body.renter) {
      throw new FarmerError('FARMER_FORBIDDEN', 'the token is of another node than the connection');
    }
    const key = `${token.body.renter}${token.body.nonce}`;
    if (this.seen.has(key)) throw new FarmerError('FARMER_REPLAYED', 'this token was used before');
    if (this.seen.size >= MAX_NONCES) {
      for (const [old, expires] of this.seen) if (expires <= now) this.seen.delete(old);
      if (this.seen.size >= MAX_NONCES) {
        throw new FarmerError('FARMER_BUSY', 'too many transfers at this time: try again later');
      }
    }
    this.seen.set(key, token.body.expires);
    return token;
  }
}
