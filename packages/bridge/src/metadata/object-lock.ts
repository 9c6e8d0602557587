import { MetadataError } from './metadata-error.js';
import type { Retention } from './records.js';

/** Whether a version may be deleted. @throws MetadataError METADATA_LOCKED. */
export function checkDeletable(
  { retention, legalHold }: { readonly retention: Retention | null; readonly legalHold: boolean },
  now: number,
  bypassGovernance: boolean,
): void {
  if (legalHold) throw locked('a legal hold is on the version');
  if (retention === null || retention.until <= now) return;
  if (retention.mode === 'GOVERNANCE' && bypassGovernance) return;
  throw locked(
    `the version is kept until ${new Date(retention.until).toISOString()} (${retention.mode})`,
  );
}

/** Whether a retention may take another's place. @throws MetadataError METADATA_LOCKED. */
export function checkRetentionChange(
  old: Retention | null,
  next: Retention | null,
  now: number,
  bypassGovernance: boolean,
): void {
  if (old === null || old.until <= now) return;
  const grows = next !== null && next.until >= old.until;
  if (old.mode === 'COMPLIANCE') {
    if (grows && next.mode === 'COMPLIANCE') return;
    throw locked('a retention of mode COMPLIANCE can only be made longer');
  }
  if (grows || bypassGovernance) return;
  throw locked('a retention of mode GOVERNANCE is shortened only by who may bypass it');
}

function locked(message: string): MetadataError {
  return new MetadataError('METADATA_LOCKED', message);
}
