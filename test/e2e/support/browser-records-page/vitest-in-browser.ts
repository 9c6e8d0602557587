// What of vitest a suite needs that also runs in a page: it collects tests, and expects as vitest does.
import { JestAsymmetricMatchers, JestChaiExpect, JestExtend } from '@vitest/expect';
import * as chai from 'chai';

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

/** The tests by name, in order. */
export const tests = new Map<string, () => Promise<void>>();
const groups: string[] = [];

export function describe(name: string, body: () => void): void {
  groups.push(name);
  body();
  groups.pop();
}

export function it(name: string, body: () => Promise<void>): void {
  tests.set([...groups, name].join(' '), body);
}

export const expect = chai.expect;
