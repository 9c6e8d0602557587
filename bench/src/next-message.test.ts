import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { nextMessage } from './next-message.js';

it('is the next message, or the error that there will be none, and leaves no listeners behind', async () => {
  const child = new EventEmitter();
  const first = nextMessage<number>(child);
  child.emit('message', 1);
  child.emit('message', 2);
  expect(await first).toBe(1);
  const second = nextMessage<number>(child);
  child.emit('exit', 3);
  await expect(second).rejects.toThrow('ended with 3');
  expect(child.eventNames()).toEqual([]);
});
