/** How a farmer stands with this renter. */
export type Standing = 'new' | 'good' | 'suspected' | 'disqualified';

/**
 * What a renter remembers of a farmer's behaviour. `audits` and `transfers` are the two parameters
 * of a beta distribution with forgetting (Jøsang and Ismail 2002, "The Beta Reputation System"):
 * good and bad outcomes, older ones counting less. Times are milliseconds since the epoch.
 */
export interface Reputation {
  readonly audits: BetaScore;
  readonly transfers: BetaScore;
  /** Share of the last weeks in which it answered, 0 to 1. */
  readonly uptime: number;
  /** When it was last looked for; 0 for never. */
  readonly checked: number;
  /** Since when it has not answered; null when it answered the last time. */
  readonly offlineSince: number | null;
  readonly standing: Standing;
  /** Since when it has this standing. */
  readonly since: number;
  /** What brought it there. */
  readonly reason: string;
  /** Audits passed and failed in all. */
  readonly passed: number;
  readonly failed: number;
}

/** Good (`alpha`) and bad (`beta`) outcomes, faded. */
export interface BetaScore {
  readonly alpha: number;
  readonly beta: number;
}

/** What can be tuned. Times in milliseconds. */
export interface ReputationSettings {
  /** What the past counts for after one more audit, 0 to 1. 1 / (1 - forgetting) audits are remembered. */
  readonly forgetting: number;
  /** Audits a new farmer must pass before it is `good`. */
  readonly vetting: number;
  /** Below this audit score a farmer is suspected. */
  readonly suspectBelow: number;
  /** A suspected farmer must come above this to be good again. */
  readonly trustAbove: number;
  /** Below this it is disqualified. */
  readonly disqualifyBelow: number;
  /** The time over which uptime is averaged. */
  readonly uptimeMs: number;
  /** A farmer that does not answer for this long counts as gone: its shards are made anew. */
  readonly offlineMs: number;
  /** A farmer that does not answer for this long is disqualified. */
  readonly lostMs: number;
}

const HOUR = 3600 * 1000;
const DAY = 24 * HOUR;

/** The settings of a renter that was told nothing else. */
export const defaultReputationSettings: ReputationSettings = {
  forgetting: 0.95,
  vetting: 10,
  suspectBelow: 0.96,
  trustAbove: 0.98,
  disqualifyBelow: 0.8,
  uptimeMs: 14 * DAY,
  offlineMs: 12 * HOUR,
  lostMs: 30 * DAY,
};

/** Transfers fail for many reasons that are nobody's fault, so they are forgotten sooner. */
const TRANSFER_FORGETTING = 0.9;

/** The reputation of a farmer that nothing is known of. */
export function newReputation(now: number, { forgetting } = defaultReputationSettings): Reputation {
  return {
    // As much weight as remembered audits ever have, so that one failure is no verdict.
    audits: { alpha: 1 / (1 - forgetting), beta: 0 },
    transfers: { alpha: 1, beta: 0 },
    uptime: 1,
    checked: 0,
    offlineSince: null,
    standing: 'new',
    since: now,
    reason: 'nothing is known of it yet',
    passed: 0,
    failed: 0,
  };
}

/** The share of good outcomes, 0 to 1. */
export function scoreOf({ alpha, beta }: BetaScore): number {
  return alpha / (alpha + beta);
}

function fade(
  { alpha, beta }: BetaScore,
  forgetting: number,
  good: number,
  bad: number,
): BetaScore {
  return { alpha: alpha * forgetting + good, beta: beta * forgetting + bad };
}

/** Take note of an audit. `why` says what was wrong when it was failed. */
export function afterAudit(
  reputation: Reputation,
  passed: boolean,
  now: number,
  why: string,
  settings = defaultReputationSettings,
): Reputation {
  const audits = fade(reputation.audits, settings.forgetting, passed ? 1 : 0, passed ? 0 : 1);
  const next = {
    ...reputation,
    audits,
    passed: reputation.passed + (passed ? 1 : 0),
    failed: reputation.failed + (passed ? 0 : 1),
  };
  return standAfterAudit(next, now, why, settings);
}

function standAfterAudit(
  reputation: Reputation,
  now: number,
  why: string,
  settings: ReputationSettings,
): Reputation {
  const { standing, passed, failed } = reputation;
  const score = scoreOf(reputation.audits);
  if (standing === 'disqualified') return reputation;
  if (score < settings.disqualifyBelow) {
    return change(reputation, 'disqualified', now, `it failed too many audits (last: ${why})`);
  }
  if (score < settings.suspectBelow && standing !== 'suspected') {
    return change(reputation, 'suspected', now, `it failed an audit: ${why}`);
  }
  if (standing === 'suspected' && score > settings.trustAbove) {
    return change(reputation, 'good', now, 'it has passed audits since it was suspected');
  }
  if (standing === 'new' && passed - failed >= settings.vetting) {
    return change(reputation, 'good', now, `it passed its first ${settings.vetting} audits`);
  }
  return reputation;
}

/** Take note of whether a farmer answered when it was looked for. */
export function afterContact(
  reputation: Reputation,
  answered: boolean,
  now: number,
  settings = defaultReputationSettings,
): Reputation {
  const { checked, uptime } = reputation;
  // What it did between two looks counts as it was found at the second.
  const share = checked === 0 ? 0 : 1 - Math.exp(-Math.max(0, now - checked) / settings.uptimeMs);
  const next = {
    ...reputation,
    uptime: uptime * (1 - share) + (answered ? share : 0),
    checked: now,
    offlineSince: answered ? null : (reputation.offlineSince ?? now),
  };
  if (next.offlineSince !== null && now - next.offlineSince > settings.lostMs) {
    return next.standing === 'disqualified'
      ? next
      : change(next, 'disqualified', now, 'it has not answered for too long');
  }
  return next;
}

/** Take note of how an upload or download went. */
export function afterTransfer(reputation: Reputation, success: boolean): Reputation {
  const transfers = fade(
    reputation.transfers,
    TRANSFER_FORGETTING,
    success ? 1 : 0,
    success ? 0 : 1,
  );
  return { ...reputation, transfers };
}

/** Give a farmer another chance: suspected, and on its way back if it passes audits. */
export function pardon(
  reputation: Reputation,
  now: number,
  settings = defaultReputationSettings,
): Reputation {
  const weight = 1 / (1 - settings.forgetting);
  const score = (settings.disqualifyBelow + settings.suspectBelow) / 2;
  const audits = { alpha: weight * score, beta: weight * (1 - score) };
  return change({ ...reputation, audits, offlineSince: null }, 'suspected', now, 'you pardoned it');
}

function change(
  reputation: Reputation,
  standing: Standing,
  now: number,
  reason: string,
): Reputation {
  return { ...reputation, standing, since: now, reason };
}

/** Whether a farmer has not answered for so long that its shards count as gone. */
export function isOffline(
  { offlineSince }: Reputation,
  now: number,
  { offlineMs } = defaultReputationSettings,
): boolean {
  return offlineSince !== null && now - offlineSince >= offlineMs;
}

/**
 * How much a farmer is to be preferred to others for new shards, above 0; 0 when it gets none.
 *
 * @param latencyMs - round trip
 */
export function placementWeight(
  reputation: Reputation,
  latencyMs: number,
  now: number,
  settings = defaultReputationSettings,
): number {
  const { standing, offlineSince } = reputation;
  if (standing === 'suspected' || standing === 'disqualified') return 0;
  if (isOffline(reputation, now, settings)) return 0;
  const trust = scoreOf(reputation.audits) ** 2 * reputation.uptime ** 2;
  const speed = 1 / (1 + Math.max(0, latencyMs) / 200);
  const vetted = standing === 'good' ? 1 : 0.5;
  const here = offlineSince === null ? 1 : 0.1;
  return Math.max(1e-6, trust * scoreOf(reputation.transfers) * speed * vetted * here);
}

/** Why a farmer has the standing it has, for people. */
export function explainReputation(
  reputation: Reputation,
  now: number,
  settings = defaultReputationSettings,
): string {
  const { standing, reason, passed, failed, uptime, offlineSince } = reputation;
  const percent = (x: number) => `${(x * 100).toFixed(1)} %`;
  const parts = [reason];
  if (passed + failed > 0) {
    parts.push(
      `${passed} of ${passed + failed} audits passed, score ${percent(scoreOf(reputation.audits))}`,
    );
  }
  if (standing === 'new') {
    parts.push(`good after ${Math.max(0, settings.vetting - passed + failed)} more audits`);
  }
  if (standing === 'suspected') {
    parts.push(
      `gets no new shards until its score is above ${percent(settings.trustAbove)}, ` +
        `is disqualified below ${percent(settings.disqualifyBelow)}`,
    );
  }
  if (standing === 'disqualified') parts.push('its shards count as lost and are made anew');
  parts.push(`up ${percent(uptime)}`);
  if (scoreOf(reputation.transfers) < 0.9) {
    parts.push(`${percent(scoreOf(reputation.transfers))} of its last transfers went well`);
  }
  if (offlineSince !== null) {
    const hours = ((now - offlineSince) / HOUR).toFixed(1);
    parts.push(
      isOffline(reputation, now, settings)
        ? `has not answered for ${hours} h: its shards are made anew`
        : `has not answered for ${hours} h`,
    );
  }
  return parts.join('; ');
}
