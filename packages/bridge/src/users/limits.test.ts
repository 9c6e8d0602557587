import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LoginThrottle } from './login-throttle.js';
import { Passwords } from './passwords.js';
import { RateLimitError, RateLimiter } from './rate-limiter.js';
import { NO_RATE_LIMITS, rateLimitsOf } from './rate-limits.js';

/** A clock whose timers fire at once, and whose time goes on by what they waited. */
class LeapingClock {
  time = 1_000_000;
  now = () => this.time;
  setTimeout = (callback: () => void, ms: number) => {
    this.time += ms;
    return setImmediate(callback);
  };
  clearTimeout = (timer: unknown) => clearImmediate(timer as NodeJS.Immediate);
}

const never = new AbortController().signal;
const requests = { requests: { perSecond: 2, burst: 5 }, bytes: null };

async function* pieces(...sizes: number[]) {
  for (const size of sizes) yield await Promise.resolve(new Uint8Array(size));
}

it('lets a burst in, and then what flows in again', () => {
  const clock = new LeapingClock();
  const limiter = new RateLimiter(clock);
  for (let i = 0; i < 5; i++) limiter.admit('anna', requests);
  expect(() => limiter.admit('anna', requests)).toThrow(RateLimitError);
  // Others are not concerned.
  limiter.admit('ben', requests);
  clock.time += 500;
  limiter.admit('anna', requests);
  expect(() => limiter.admit('anna', requests)).toThrow(/try again in 1 s/);
  // A clock that goes back changes nothing.
  clock.time -= 60_000;
  expect(() => limiter.admit('anna', requests)).toThrow(RateLimitError);
  // A limit that was raised counts at once.
  limiter.admit('anna', { requests: null, bytes: null });
});

it('never lets more in than the rate and one burst', () =>
  fc.assert(
    fc.property(fc.array(fc.nat(2000), { maxLength: 200 }), (pauses) => {
      const clock = new LeapingClock();
      const limiter = new RateLimiter(clock);
      const begun = clock.time;
      let admitted = 0;
      for (const pause of pauses) {
        clock.time += pause;
        try {
          limiter.admit('anna', requests);
          admitted += 1;
        } catch (error) {
          expect(error).toBeInstanceOf(RateLimitError);
          expect((error as RateLimitError).retryAfter).toBeGreaterThan(0);
        }
      }
      expect(admitted).toBeLessThanOrEqual(5 + ((clock.time - begun) / 1000) * 2 + 1e-6);
    }),
  ));

it('paces bytes of all transfers of a user together, and refuses who would wait too long', async () => {
  const clock = new LeapingClock();
  const limiter = new RateLimiter(clock);
  const limits = { requests: null, bytes: { perSecond: 1024, burst: 4096 } };
  const begun = clock.time;
  let sent = 0;
  const both = [limiter.admit('anna', limits), limiter.admit('anna', limits)].map(
    async (budget) => {
      for await (const part of budget!.paced(pieces(4096, 4096, 4096, 4096), never)) {
        sent += part.length;
      }
    },
  );
  await Promise.all(both);
  expect(sent).toBe(8 * 4096);
  // All but the burst and the last piece of each had to flow in first.
  expect(clock.time - begun).toBeGreaterThanOrEqual(((8 - 3) * 4096 * 1000) / 1024);
  for await (const part of limiter.admit('big', limits)!.paced(pieces(1_000_000), never)) void part;
  expect(() => limiter.admit('big', limits)).toThrow(/Too many bytes/);
});

it('ends a wait when the client goes away', async () => {
  const limiter = new RateLimiter({
    now: () => 0,
    setTimeout: () => 0,
    clearTimeout: () => undefined,
  });
  const gone = new AbortController();
  const budget = limiter.admit('anna', { requests: null, bytes: { perSecond: 1024, burst: 1 } });
  const stream = budget!.paced(pieces(5000, 5000), gone.signal)[Symbol.asyncIterator]();
  await stream.next();
  const waiting = stream.next();
  setImmediate(() => gone.abort(new Error('gone')));
  await expect(waiting).rejects.toThrow('gone');
});

it('remembers so many users, and the latest of them', () => {
  const limiter = new RateLimiter(new LeapingClock(), 3);
  const use = (user: string) => {
    for (let i = 0; i < 5; i++) limiter.admit(user, requests);
  };
  for (const user of ['a', 'b', 'c']) use(user);
  expect(() => limiter.admit('a', requests)).toThrow(RateLimitError);
  use('d');
  expect(() => limiter.admit('a', requests)).toThrow(RateLimitError);
  // b was seen longest ago.
  use('b');
});

it('limits that can not be read, or were never set, are none', () => {
  expect(rateLimitsOf({ attributes: {} })).toEqual(NO_RATE_LIMITS);
  expect(rateLimitsOf({ attributes: { rateLimits: { requests: -1 } } })).toEqual(NO_RATE_LIMITS);
});

it('passwords are hashed with a salt, and fit their own hash only', async () => {
  const passwords = new Passwords({ logN: 10, r: 8, p: 1 });
  const [one, two] = [
    await passwords.hash('correct horse ü', never),
    await passwords.hash('correct horse ü', never),
  ];
  expect(one).toMatch(/^\$scrypt\$ln=10,r=8,p=1\$[^$]+\$[^$]+$/);
  expect(one).not.toBe(two);
  // The same text in another normal form is the same password.
  expect(await passwords.fits('correct horse u\u0308', one, never)).toBe(true);
  expect(await passwords.fits('correct horse u', one, never)).toBe(false);
  // A hash of other cost is read with its own.
  expect(await new Passwords({ logN: 11, r: 8, p: 1 }).fits('correct horse ü', two, never)).toBe(
    true,
  );
  for (const hash of [null, '', 'scrypt', one.replace('ln=10', 'ln=31'), one.slice(0, -1)]) {
    expect(await passwords.fits('correct horse ü', hash, never)).toBe(false);
  }
});

it('the hash of a bridge takes 128 MiB', async () => {
  expect(await new Passwords().hash('correct horse', never)).toMatch(/^\$scrypt\$ln=17,r=8,p=1\$/);
});

it('wrong logins are slowed down by name and by address', () => {
  const clock = new LeapingClock();
  const throttle = new LoginThrottle(clock, {
    name: { perSecond: 1 / 30, burst: 3 },
    address: { perSecond: 1, burst: 5 },
  });
  for (let i = 0; i < 3; i++) throttle.attempt('anna', `192.0.2.${i}`);
  expect(() => throttle.attempt('anna', '192.0.2.9')).toThrow(/Too many logins/);
  clock.time += 30_000;
  // A right password gives its try back.
  for (let i = 0; i < 5; i++) throttle.attempt('anna', `192.0.2.${i}`)();
  throttle.attempt('anna', '192.0.2.7');
  expect(() => throttle.attempt('anna', '192.0.2.9')).toThrow(RateLimitError);
  for (let i = 0; i < 5; i++) throttle.attempt(`name ${i}`, `2001:db8:0:1::${i}`);
  expect(() => throttle.attempt('name', '2001:0db8::1:2:3:4:5')).toThrow(RateLimitError);
  throttle.attempt('name', '2001:db8:0:2::1');
  for (let i = 0; i < 5; i++) throttle.attempt(`other ${i}`, '::ffff:198.51.100.1');
  expect(() => throttle.attempt('name', '198.51.100.1')).toThrow(RateLimitError);
});
