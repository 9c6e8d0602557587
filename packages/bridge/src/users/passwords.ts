import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { Slots } from '../contents/slots.js';

/** The fewest and the most characters of a password. */
export const PASSWORD_LENGTH = { min: 10, max: 1024 };

/** What hashing costs. Memory is 128 * 2^logN * r bytes. */
export interface HashCost {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** OWASP's first choice for scrypt: 128 MiB, about half a second. */
export const DEFAULT_COST: HashCost = { logN: 17, r: 8, p: 1 };

const FORM =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{43})$/;
const MAX_LOG_N = 20;

/**
 * Hashes and checks passwords: scrypt (RFC 7914), written in the PHC string format. Two at one time, so
 * that many at once take no more than twice the memory of one; the others wait.
 */
export class Passwords {
  private readonly slots = new Slots(2);

  constructor(private readonly cost: HashCost = DEFAULT_COST) {}

  /** The hash of a new password, to be kept. */
  async hash(password: string, signal: AbortSignal): Promise<string> {
    const salt = randomBytes(16);
    const { logN, r, p } = this.cost;
    const key = await this.derive(password, salt, this.cost, signal);
    return `$scrypt$ln=${logN},r=${r},p=${p}$${unpadded(salt)}$${unpadded(key)}`;
  }

  /**
   * Whether a password is the one of a hash. It takes as long when there is no hash, so that nobody learns
   * from the time which users there are.
   *
   * @param hash - null: there is none, and nothing fits
   */
  async fits(password: string, hash: string | null, signal: AbortSignal): Promise<boolean> {
    const match = hash === null ? null : FORM.exec(hash);
    const [logN, r, p] = (match ?? []).slice(1, 4).map(Number);
    const known = match !== null && logN! <= MAX_LOG_N && logN! >= 1 && r! >= 1 && p! >= 1;
    const cost = known ? { logN: logN!, r: r!, p: p! } : this.cost;
    const salt = known ? Buffer.from(match[4]!, 'base64') : randomBytes(16);
    const expected = known ? Buffer.from(match[5]!, 'base64') : randomBytes(32);
    const key = await this.derive(password, salt, cost, signal);
    return timingSafeEqual(key, expected) && known;
  }

  private async derive(
    password: string,
    salt: Buffer,
    { logN, r, p }: HashCost,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const free = await this.slots.take(signal);
    try {
      const N = 2 ** logN;
      const options = { N, r, p, maxmem: 256 * N * r };
      return await new Promise<Buffer>((resolve, reject) => {
        scrypt(password.normalize('NFKC'), salt, 32, options, (error, key) =>
          error === null ? resolve(key) : reject(error),
        );
      });
    } finally {
      free();
    }
  }
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
