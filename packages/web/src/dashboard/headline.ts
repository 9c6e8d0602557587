import { count, counted, bytes, shortId } from '../design/format.js';
import type { Level } from '../design/icons.js';
import type { BridgeState } from '../messages/bridge-state.js';
import type { FarmerState } from '../messages/farmer-state.js';
import type { NetworkState } from '../messages/network-state.js';
import type { State } from '../messages/stream.js';

/** One sentence on how things are, and what to do about it. Text in backticks is to be typed. */
export interface Headline {
  readonly level: Level;
  readonly text: string;
  readonly advice: readonly string[];
}

const say = (level: Level, text: string, ...advice: string[]): Headline => ({
  level,
  text,
  advice,
});

/** How things are, the worst first. */
export function headline(state: State): Headline {
  switch (state.kind) {
    case 'farmer':
      return ofFarmer(state);
    case 'bridge':
      return ofBridge(state);
    case 'network':
      return ofNetwork(state);
  }
}

function ofFarmer({ figures, neighbourhood, contracts }: FarmerState): Headline {
  const { damaged, missing, auditsLost, shards, usedBytes, freeBytes, leaving, audits } = figures;
  const renters =
    contracts === null || contracts.renters === 0
      ? ''
      : ` for ${counted(contracts.renters, 'renter')}`;
  const kept = `${counted(shards, 'shard')} (${bytes(usedBytes)}) kept${renters}`;
  if (missing > 0 || damaged > 0) {
    const parts = [
      missing > 0 ? `${counted(missing, 'shard')} missing` : '',
      damaged > 0 ? `${counted(damaged, 'shard')} damaged` : '',
    ].filter((part) => part !== '');
    return say(
      'bad',
      `Data was lost here: ${parts.join(' and ')}.`,
      'Check the disk (its own log, `dmesg`, SMART) and the file system before it takes more.',
      'Renters find out by audits and make the shards anew elsewhere.',
    );
  }
  if (neighbourhood.known === 0) {
    return say(
      'bad',
      'This farmer knows no other node, so that nobody can find it.',
      'Give it a node that runs: `--bootstrap https://HOST:PORT`. It goes on trying by itself.',
    );
  }
  if (auditsLost > 0) {
    return say(
      'bad',
      `${counted(auditsLost, 'audit')} of ${count(audits)} found that a shard is not here any more.`,
      'If files were removed or the disk was replaced, put them back from a copy, if there is one.',
    );
  }
  if (figures.reachable === 'private' && figures.tunnels === 0) {
    return say(
      'warn',
      'Other nodes can’t reach this farmer, so that it gets no shards.',
      '`granary doctor` says what stands in the way and what to do about it.',
    );
  }
  if (leaving) {
    return shards === 0
      ? say('good', 'This farmer has left in good order: no shard is here any more.')
      : say(
          'busy',
          `This farmer is leaving: ${counted(shards, 'shard')} ${shards === 1 ? 'is' : 'are'} still here.`,
          'Renters take them over when they next look after their data. `--stay` calls it off.',
        );
  }
  if (freeBytes === 0) {
    return say(
      'warn',
      `This farmer is full: ${kept}, and there is no room for more.`,
      'Give it more with `--space`, or leave it as it is: what is kept stays kept.',
    );
  }
  if (figures.reachable === 'unknown') {
    return say('busy', 'Looking how others can reach this farmer. This takes a minute or so.');
  }
  if (shards === 0) {
    return say(
      'good',
      `Ready: ${bytes(freeBytes)} free, ${counted(neighbourhood.known, 'peer')}, and nothing stored yet.`,
      'Renters find this farmer by themselves.',
    );
  }
  const passed = audits === 0 ? 'not audited yet' : 'all audits passed';
  return say(
    'good',
    `Everything is fine: ${kept}, ${counted(neighbourhood.known, 'peer')}, ${passed}.`,
  );
}

function ofBridge(state: BridgeState): Headline {
  const { survey, ready, care, farmers, requests } = state;
  const counting = farmers.list.filter(({ standing }) => standing !== 'disqualified');
  const away = counting.filter(({ answers }) => !answers);
  const answer = `${count(counting.length - away.length)} of ${counted(counting.length, 'farmer')} answer`;
  if (!ready.database) {
    return say(
      'bad',
      'The bridge’s database does not answer, so that requests fail.',
      'Check that it runs and can be reached; the bridge goes on by itself when it does.',
    );
  }
  if (survey !== null && survey.unreadable > 0) {
    const are = survey.unreadable === 1 ? 'is' : 'are';
    return say(
      'bad',
      `${counted(survey.unreadable, 'object')} can’t be read now: too few of the farmers that hold shards of ${survey.unreadable === 1 ? 'it' : 'them'} answer.`,
      `${answer}. Nothing can be made anew before some are back; the list below has what ${are} concerned.`,
    );
  }
  if (!ready.network) {
    return say(
      'bad',
      'No node of the network answers.',
      'Check `bootstrap` in config.json, and that those nodes run: `granary status`.',
    );
  }
  if (care.failure !== null) {
    return say(
      'warn',
      'The last round of audits and repair broke off; the next one tries again.',
      care.failure.reason,
    );
  }
  const due = survey === null ? 0 : survey.repair + survey.lost;
  if (due > 0 && !care.here) {
    return say(
      'warn',
      `${counted(due, 'object')} should be repaired, and this bridge does not do it (--no-care).`,
      'Keep `granary repair` running on this home, or start the bridge without `--no-care`.',
    );
  }
  if (care.phase === 'repairs' && care.queue > 0) {
    return say(
      'busy',
      `Repairing: ${count(care.done)} of ${counted(care.queue, 'segment')} done. Everything can be read meanwhile.`,
    );
  }
  if (care.last !== null && care.last.unrepaired > 0) {
    return say(
      'warn',
      `${counted(care.last.unrepaired, 'segment')} could not be repaired in the last round. Everything can still be read.`,
      'Mostly there are too few farmers that can take new shards: `granary farmers` says how they stand.',
    );
  }
  if (due > 0) {
    return say(
      'busy',
      `${counted(due, 'object')} will be repaired in the next round. Everything can be read meanwhile.`,
    );
  }
  const spare =
    survey === null || survey.leastSpare === null
      ? ''
      : ` Every object could lose at least ${count(survey.leastSpare)} more.`;
  if (away.length > 0) {
    const names = away.slice(0, 3).map(({ nodeId }) => shortId(nodeId));
    const rest = away.length > 3 ? ` and ${away.length - 3} more` : '';
    return say(
      'warn',
      `${counted(away.length, 'farmer')} of ${counting.length} ${away.length === 1 ? 'does' : 'do'} not answer (${names.join(', ')}${rest}).${spare}`,
      'Nothing is to be done: shards are made anew when a farmer has been away for 12 hours.',
    );
  }
  if (requests.failed > 0 && requests.failed * 100 > requests.total) {
    return say(
      'warn',
      `${count(requests.failed)} of ${counted(requests.total, 'request')} failed for a reason of the bridge’s.`,
      'The log has each with its ID.',
    );
  }
  if (survey === null) return say('busy', 'Looking at every object. This takes a moment.');
  if (survey.objects === 0) {
    return say('good', `Ready, and nothing stored yet. ${answer}.`);
  }
  const least = survey.leastSpare ?? 0;
  return say(
    'good',
    `Everything is fine: ${counted(survey.objects, 'object')} (${bytes(survey.bytes)}), each could lose at least ${counted(least, 'more farmer')}. ${answer}.`,
  );
}

function ofNetwork({ farmers }: NetworkState): Headline {
  const running = farmers.filter(({ state }) => state === 'running');
  const starting = farmers.filter(({ state }) => state === 'starting');
  const missing = farmers.filter(({ state }) => state === 'gone' || state === 'silent');
  const stored = running.reduce((sum, { figures }) => sum + (figures?.usedBytes ?? 0), 0);
  const harmed = running.filter(
    ({ figures }) => (figures?.damaged ?? 0) + (figures?.missing ?? 0) > 0,
  );
  if (running.length === 0 && starting.length === 0) {
    return say('bad', 'No farmer runs any more.', 'Start the network again.');
  }
  if (harmed.length > 0) {
    return say(
      'bad',
      `${counted(harmed.length, 'farmer')} lost shards that they had promised to keep.`,
    );
  }
  if (missing.length > 0) {
    const names = missing.slice(0, 4).map(({ nodeId, ended }) => {
      return ended === null ? shortId(nodeId) : `${shortId(nodeId)}: ${ended}`;
    });
    const rest = missing.length > 4 ? ` and ${missing.length - 4} more` : '';
    return say(
      'warn',
      `${counted(missing.length, 'farmer')} of ${farmers.length} ${missing.length === 1 ? 'is' : 'are'} gone (${names.join(', ')}${rest}).`,
      'Any k farmers of an object give it back: try `granary get`.',
    );
  }
  if (running.length < farmers.length) {
    return say(
      'busy',
      `${running.length} of ${counted(farmers.length, 'farmer')} have answered so far.`,
    );
  }
  return say(
    'good',
    `Everything is fine: all ${counted(farmers.length, 'farmer')} run and hold ${bytes(stored)}.`,
  );
}
