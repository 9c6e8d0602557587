import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NatError } from '../errors.js';
import { FrameFlag, FrameType, MAX_FRAME_DATA, encodeFrame, parseFrame } from './mux-frame.js';

describe('frames of the multiplexer', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 1, max: 0xffff_ffff }),
        fc.integer({ min: 0, max: 15 }),
        (bytes, stream, flags) => {
          const data = Buffer.from(bytes);
          const frame = parseFrame(encodeFrame(FrameType.data, flags, stream, data.length, data));
          expect(frame).toMatchObject({ type: FrameType.data, flags, stream, value: data.length });
          expect(frame.data.equals(data)).toBe(true);
        },
      ),
    );
  });

  it('are those of the yamux specification', () => {
    const grown = encodeFrame(FrameType.windowUpdate, FrameFlag.syn, 3, 256);
    expect(grown.toString('hex')).toBe('000100010000000300000100');
    const ping = encodeFrame(FrameType.ping, FrameFlag.ack, 0, 7);
    expect(ping.toString('hex')).toBe('000200020000000000000007');
  });

  it('that are anything else are refused, and nothing else is thrown', () => {
    const refused = (hex: string) => {
      expect(() => parseFrame(Buffer.from(hex, 'hex')), hex).toThrow(NatError);
    };
    refused('');
    refused('00000000');
    refused('010000000000000100000000'); // another version
    refused('000400000000000100000000'); // an unknown type
    refused('000000100000000100000000'); // an unknown flag
    refused('000000000000000100000005'); // less data than it says
    refused('00000000000000010000000001'); // more data than it says
    refused('000100000000000100000001ff'); // data where none belongs
    refused('000000000000000000000000'); // data of no stream
    refused('000200010000000100000000'); // a ping of a stream
    const big = Buffer.alloc(MAX_FRAME_DATA + 1);
    expect(() => parseFrame(encodeFrame(FrameType.data, 0, 1, big.length, big))).toThrow(NatError);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          parseFrame(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(NatError);
        }
      }),
    );
  });
});
