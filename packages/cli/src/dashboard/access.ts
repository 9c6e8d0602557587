import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Random } from '@granary/kad';

/** Bytes of randomness in a token and in a session. */
const SECRET_BYTES = 32;

/** Who may read a dashboard: who has shown the token, and comes by a name that is this machine's. */
export class DashboardAccess {
  /** In the address that is printed; good for as long as the process runs. */
  readonly token: string;
  private readonly session: string;

  /** @param host - the name or address that was listened on; others by name are turned away */
  constructor(
    random: Random,
    private readonly host: string,
  ) {
    this.token = secret(random);
    this.session = secret(random);
  }

  /**
   * Whether a request came by a name of this machine. A page of somebody else's whose name was made
   * to lead here (DNS rebinding) comes by its own name, and never by an IP address.
   */
  isOurName(request: IncomingMessage): boolean {
    const text = request.headers.host ?? '';
    const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/.exec(text);
    const name = (match?.[1] ?? match?.[2] ?? '').toLowerCase();
    return isIP(name) !== 0 || name === 'localhost' || name === this.host.toLowerCase();
  }

  /** Whether this is the token. */
  isToken(text: string): boolean {
    return same(text, this.token);
  }

  /** Whether a request has the cookie of somebody who has shown the token. */
  hasSession(request: IncomingMessage, port: number): boolean {
    const name = cookieName(port);
    return (request.headers.cookie ?? '').split(';').some((pair) => {
      const at = pair.indexOf('=');
      return (
        at > 0 && pair.slice(0, at).trim() === name && same(pair.slice(at + 1).trim(), this.session)
      );
    });
  }

  /** The cookie for who has shown the token. No script can read it, and no other site can have it sent. */
  cookie(port: number): string {
    return `${cookieName(port)}=${this.session}; Path=/; HttpOnly; SameSite=Strict`;
  }
}

/** Cookies do not know of ports: dashboards of one machine tell theirs apart by name. */
function cookieName(port: number): string {
  return `granary-dashboard-${port}`;
}

function secret(random: Random): string {
  return Buffer.from(random(SECRET_BYTES)).toString('base64url');
}

/** In a time that does not tell how much of it is right. */
function same(a: string, b: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}
