import { expect, it } from 'vitest';
import { predictLoss, predictLossFixedDelay } from './markov.js';
import { type Scenario, World } from './world.js';

const YEAR = 365 * 24;
const scheme = { k: 2, repair: 3, success: 4, n: 5 };
const scenario: Scenario = {
  name: 'test',
  scheme,
  repairing: true,
  farmers: 60,
  segments: 300,
  years: 1,
  seed: 3,
  meanLife: YEAR,
  networks: 500,
  networkLossRate: 0,
  corruptionRate: 0,
  liars: 0,
  liarsKeep: 0,
  meanUp: 1,
  meanDown: 0,
  auditInterval: 6,
  segmentBytes: 1e6,
  repairBytesPerHour: 1e12,
};

it('predicts the loss without repair as the binomial distribution does', () => {
  const p = Math.exp(-1); // a shard lives on after one mean life
  const survive = (i: number, ways: number) => ways * p ** i * (1 - p) ** (5 - i);
  const lost = survive(0, 1) + survive(1, 5);
  expect(predictLoss(scheme, 1 / YEAR, 0, YEAR)).toBeCloseTo(lost, 2);
});

it('predicts less loss with quicker repair, and none without failures', () => {
  const at = (rate: number) => predictLoss(scheme, 1 / 720, rate, YEAR);
  expect(at(1 / 10)).toBeLessThan(at(1 / 100));
  // A fixed delay has no long tail, which counts when it takes several losses within it.
  const wide = { k: 4, repair: 8, success: 10, n: 12 };
  const [life, hours] = [720, 20 * YEAR];
  const chain = predictLoss(wide, 1 / life, 1 / 15, hours);
  expect(predictLossFixedDelay(wide, 1 / life, 15, hours)).toBeLessThan(chain / 5);
  expect(predictLossFixedDelay(scheme, 1e-12, 10, YEAR)).toBeLessThan(1e-9);
});

it('plays the same world for the same seed, loses nothing without failures, and repairs', () => {
  const quiet = new World({ ...scenario, meanLife: 1e12 }).run();
  expect(quiet).toMatchObject({ lost: 0, repairs: 0, departures: 0 });
  const first = new World(scenario).run();
  expect(new World(scenario).run()).toEqual(first);
  expect(new World({ ...scenario, seed: 4 }).run()).not.toEqual(first);
  expect(first.repairs).toBeGreaterThan(100);
  const without = new World({ ...scenario, repairing: false }).run();
  expect(without.lost).toBeGreaterThan(50);
  expect(first.lost).toBeLessThan(without.lost / 10);
});

it('finds liars by audits, and wrongs nobody', () => {
  const outcome = new World({ ...scenario, meanLife: 1e12, liars: 0.1, liarsKeep: 0 }).run();
  expect(outcome.auditsFailed).toBeGreaterThan(0);
  expect(outcome.wronged).toBe(0);
});
