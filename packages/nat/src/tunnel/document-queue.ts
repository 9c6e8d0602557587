import { NatError } from '../errors.js';

/** Documents of the other side that may wait to be looked at. */
const MAX_WAITING = 32;

/** Works on signed documents of the other side one after the other, and on no endless row of them. */
export class DocumentQueue {
  private waiting = 0;
  private last: Promise<void> = Promise.resolve();

  /**
   * @param work - does not reject
   * @throws NatError NAT_TUNNEL_PROTOCOL when too many wait.
   */
  add(work: () => Promise<void>): void {
    if (this.waiting >= MAX_WAITING) {
      throw new NatError(
        'NAT_TUNNEL_PROTOCOL',
        'the other side sends bills or receipts without end',
      );
    }
    this.waiting += 1;
    this.last = this.last.then(work).finally(() => (this.waiting -= 1));
  }
}
