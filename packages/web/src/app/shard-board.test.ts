import { describe, expect, it } from 'vitest';
import { ShardBoard } from './shard-board.js';

describe('the board of shards', () => {
  it('sums up by farmer and shows the segments under way', () => {
    const board = new ShardBoard();
    const step = { segment: 0, shard: 0, farmer: 'b', size: 100 };
    board.note({ ...step, bytes: 0, state: 'moving' });
    board.note({ ...step, bytes: 40, state: 'moving' });
    board.note({ ...step, bytes: 100, state: 'done' });
    board.note({ ...step, shard: 1, farmer: 'a', bytes: 30, state: 'failed' });
    board.note({ ...step, shard: 1, farmer: 'c', bytes: 50, state: 'moving' });
    expect(board.farmers()).toEqual([
      { nodeId: 'a', bytes: 30, done: 0, failed: 1, moving: 0 },
      { nodeId: 'b', bytes: 100, done: 1, failed: 0, moving: 0 },
      { nodeId: 'c', bytes: 50, done: 0, failed: 0, moving: 1 },
    ]);
    expect(board.lines()).toEqual([
      {
        segment: 0,
        shards: [
          { shard: 0, farmer: 'b', share: 1, state: 'done' },
          { shard: 1, farmer: 'c', share: 0.5, state: 'moving' },
        ],
      },
    ]);
  });

  it('keeps two segments only, however many there are', () => {
    const board = new ShardBoard();
    for (let segment = 0; segment < 50; segment += 1) {
      board.note({ segment, shard: 0, farmer: 'a', bytes: 1, size: 1, state: 'done' });
    }
    expect(board.lines().map(({ segment }) => segment)).toEqual([48, 49]);
    expect(board.farmers()).toEqual([{ nodeId: 'a', bytes: 50, done: 50, failed: 0, moving: 0 }]);
  });
});
