import { parseArgs } from 'node:util';
import { formatScheme, parseScheme } from '@granary/protocol';
import { auditSize } from './audit-size.js';
import { predictLoss, predictLossFixedDelay } from './markov.js';
import { type Scenario, World } from './world.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    farmers: { type: 'string', default: '1000' },
    segments: { type: 'string', default: '10000' },
    years: { type: 'string', default: '2' },
    /** Only this scheme. */
    scheme: { type: 'string' },
  },
});

const MONTH = 30 * 24;
const YEAR = 365 * 24;
const MiB = 2 ** 20;

const calm = {
  repairing: true,
  farmers: Number(values.farmers),
  segments: Number(values.segments),
  years: Number(values.years),
  seed: Number(values.seed),
  networks: Number(values.farmers) * 4,
  networkLossRate: 0,
  corruptionRate: 0,
  liars: 0,
  liarsKeep: 0,
  meanUp: 1,
  meanDown: 0,
  auditInterval: 6,
  segmentBytes: 16 * MiB,
  repairBytesPerHour: 1 * MiB * 3600,
};
// Half of the farmers share a /24 with others; each /24 is struck once in 20 years.
const rough = {
  ...calm,
  networks: Math.ceil(Number(values.farmers) * 0.8),
  networkLossRate: 1 / (20 * YEAR),
  corruptionRate: 0.01 / YEAR,
  liars: 0.1,
  liarsKeep: 0.9,
  meanUp: 5 * 24,
  meanDown: 5,
};
const schemes = ['4/6/10/12', '10/14/18/20', '20/30/40/50'].map(parseScheme);

const only = values.scheme === undefined ? undefined : formatScheme(parseScheme(values.scheme));
const scenarios: Scenario[] = [];
for (const scheme of schemes) {
  scenarios.push({ ...calm, scheme, name: 'independent, 12 months', meanLife: YEAR });
  // Some hundred thousand repairs, so that losses can be counted: once is enough.
  if (scheme === schemes[0]) {
    scenarios.push({ ...calm, scheme, name: 'independent, 1 month', meanLife: MONTH });
  }
  scenarios.push({
    ...calm,
    scheme,
    name: 'independent, 12 months, no repair',
    meanLife: YEAR,
    repairing: false,
  });
  scenarios.push({ ...rough, scheme, name: 'all at once, 12 months', meanLife: YEAR });
  scenarios.push({ ...rough, scheme, name: 'all at once, 6 months', meanLife: YEAR / 2 });
  scenarios.push({
    ...rough,
    scheme,
    name: 'all at once, 6 months, liars keep nothing',
    meanLife: YEAR / 2,
    liarsKeep: 0,
  });
}

const audit = auditSize(Math.round((16 * MiB) / 12));
console.log(
  `${values.farmers} farmers, ${values.segments} segments of 16 MiB coded, ${values.years} years, seed ${values.seed}; ` +
    `an audit moves ${audit} bytes`,
);
console.log(
  '\n| scheme | setting | lost | chain | fixed delay | repairs | repair GB a stored TB and year | audit GB a year | hours to repair | disqualified (honest and there) |',
);
console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
for (const scenario of scenarios) {
  if (only !== undefined && formatScheme(scenario.scheme) !== only) continue;
  const { scheme, name, meanLife, segments, years, segmentBytes } = scenario;
  const outcome = new World(scenario).run();
  const hours = years * YEAR;
  // Found after 12 h of silence, looked for every 6 h, then in the queue for as long as was measured.
  const delay = 12 + 3 + outcome.repairHours;
  const rate = scenario.repairing ? 1 / delay : 0;
  const independent = name.startsWith('independent');
  const predicted = independent
    ? (segments * predictLoss(scheme, 1 / meanLife, rate, hours)).toPrecision(2)
    : '–';
  const fixed =
    independent && scenario.repairing
      ? (segments * predictLossFixedDelay(scheme, 1 / meanLife, delay, hours)).toPrecision(2)
      : '–';
  const stored = (segments * segmentBytes * scheme.k) / scheme.n;
  const traffic = outcome.repairBytes / 1e9 / (stored / 1e12) / years;
  const audits = (outcome.audits * audit) / 1e9 / years;
  console.log(
    `| ${formatScheme(scheme)} | ${name} | ${outcome.lost} | ${predicted} | ${fixed} | ${outcome.repairs} | ` +
      `${traffic.toFixed(0)} | ${audits.toFixed(1)} | ${outcome.repairHours.toFixed(1)} | ` +
      `${outcome.disqualified} (${outcome.wronged}) |`,
  );
}
