import { RenterError } from '@granary/renter';
import { describe, expect, it } from 'vitest';
import { DatabaseError } from '../sql/database-error.js';
import { toS3Error } from './error-response.js';

const away = (cause: unknown) =>
  new RenterError('RENTER_STORE', 'the store did not take a write', { cause });

describe('an error in the words of S3', () => {
  it('is 503 while the database is away, also when the renter met it', () => {
    const cause = new DatabaseError('DATABASE_UNAVAILABLE', 'the connection was lost');
    const error = toS3Error(away(new Error('a write failed', { cause })));
    expect(error).toMatchObject({ status: 503, code: 'ServiceUnavailable' });
    expect(error.headers).toMatchObject({ 'retry-after': '5' });
    expect(error.message).not.toContain('connection');
  });

  it('is 500 for what will not pass by itself, and says nothing of it', () => {
    for (const thrown of [
      away(undefined),
      away(new DatabaseError('DATABASE_REFUSED', 'secret')),
      new TypeError('secret'),
      'secret',
    ]) {
      const error = toS3Error(thrown);
      expect(error).toMatchObject({ status: 500, code: 'InternalError' });
      expect(error.message).not.toContain('secret');
    }
  });

  it('does not follow causes in a circle', () => {
    const first = new Error('one');
    const second = new Error('two', { cause: first });
    first.cause = second;
    expect(toS3Error(away(first)).status).toBe(500);
  });
});
