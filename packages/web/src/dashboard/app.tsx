import { useEffect, useMemo, useReducer, useState } from 'preact/hooks';
import { date, shortId } from '../design/format.js';
import { LevelIcon } from '../design/icons.js';
import { Live, PageBar } from '../design/page-bar.js';
import type { State } from '../messages/stream.js';
import { BridgeView } from './bridge-view.js';
import { connect } from './connection.js';
import { FarmerView } from './farmer-view.js';
import { type Headline, headline } from './headline.js';
import { HistoryContext } from './history-context.js';
import { type Connection, after, nothing } from './model.js';
import { NetworkView } from './network-view.js';

const TITLES = { farmer: 'Farmer', bridge: 'Bridge', network: 'Local network' };

const SECTIONS: Record<State['kind'], readonly (readonly [string, string])[]> = {
  farmer: [
    ['network', 'Network'],
    ['history', 'History'],
    ['account', 'Earnings'],
  ],
  bridge: [
    ['objects', 'Objects'],
    ['farmers', 'Farmers'],
    ['history', 'History'],
    ['network', 'Network'],
    ['account', 'Spendings'],
  ],
  network: [
    ['farmers', 'Farmers'],
    ['history', 'History'],
  ],
};

const LOST: Partial<Record<Connection, Headline>> = {
  lost: {
    level: 'bad',
    text: 'The connection to granary is lost.',
    advice: ['Trying again by itself. What is below is how it was.'],
  },
  denied: {
    level: 'bad',
    text: 'Granary was started again and does not know this window.',
    advice: ['Open the address that it printed at its start.'],
  },
  stale: {
    level: 'warn',
    text: 'Granary is of another version than this page.',
    advice: ['Load the page again.'],
  },
};

/** Text whose parts in backticks are to be typed. */
function Typed({ text }: { readonly text: string }) {
  return (
    <>{text.split('`').map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}</>
  );
}

function HeadlineBox({ level, text, advice }: Headline) {
  return (
    <div class={`headline ${level}`} role="status">
      <LevelIcon level={level} />
      <h1>{text}</h1>
      {advice.length > 0 && (
        <ul>
          {advice.map((line) => (
            <li key={line}>
              <Typed text={line} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function nameOf(state: State): string {
  if (state.kind === 'network') return TITLES.network;
  const id = state.kind === 'farmer' ? state.figures.nodeId : state.nodeId;
  return `${TITLES[state.kind]} ${shortId(id)}`;
}

/** The dashboard. */
export function App() {
  const [model, dispatch] = useReducer(after, nothing);
  const [span, setSpan] = useState<'recent' | 'day'>('recent');
  useEffect(() => connect(dispatch), []);
  const { connection, state, hello, recent, day } = model;
  // The current figures belong to the long series, too, which has a row every five minutes only.
  const rows = useMemo(() => {
    const newest = recent.at(-1);
    if (span === 'recent') return recent;
    return newest === undefined || newest === day.at(-1) ? day : [...day, newest];
  }, [span, recent, day]);
  const message =
    LOST[connection] ??
    (state === undefined
      ? ({ level: 'busy', text: 'Looking how things are …', advice: [] } as const)
      : headline(state));
  useEffect(() => {
    if (state !== undefined) document.title = `${nameOf(state)} – Granary`;
  }, [state?.kind]);
  return (
    <>
      <a class="skip" href="#main">
        To the content
      </a>
      <PageBar title={state === undefined ? 'Granary' : nameOf(state)}>
        {state !== undefined && (
          <nav aria-label="Sections">
            <ul>
              {SECTIONS[state.kind].map(([id, title]) => (
                <li key={id}>
                  <a href={`#${id}`}>{title}</a>
                </li>
              ))}
            </ul>
          </nav>
        )}
        <Live
          good={connection === 'live'}
          text={connection === 'live' || connection === 'connecting' ? connection : 'not live'}
        />
        <div class="segments" role="group" aria-label="Span of the plots">
          <button
            type="button"
            class="button"
            aria-pressed={span === 'recent'}
            onClick={() => setSpan('recent')}
          >
            15 min
          </button>
          <button
            type="button"
            class="button"
            aria-pressed={span === 'day'}
            onClick={() => setSpan('day')}
          >
            24 h
          </button>
        </div>
      </PageBar>
      <main id="main" tabIndex={-1}>
        <HeadlineBox {...message} />
        <HistoryContext.Provider value={rows}>
          {state?.kind === 'farmer' && <FarmerView state={state} recent={recent} />}
          {state?.kind === 'bridge' && <BridgeView state={state} recent={recent} />}
          {state?.kind === 'network' && <NetworkView state={state} recent={recent} />}
        </HistoryContext.Provider>
      </main>
      {hello !== undefined && (
        <footer>
          Granary {hello.version}, figures since {date(hello.startedAt)}. This page only shows:
          nothing can be changed here.
        </footer>
      )}
    </>
  );
}
