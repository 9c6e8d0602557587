import { useEffect, useMemo, useState } from 'preact/hooks';
import { parseShareLink } from '@granary/protocol';
import { type SharedObject, openShare } from '@granary/renter';
import { Announcer } from '../app/announcer.js';
import { hostNetwork } from '../app/network-settings.js';
import { PageBar } from '../design/page-bar.js';
import { StreamDesk } from '../stream-worker/stream-desk.js';
import { type ShareTrouble, shareTroubleOf } from './share-trouble.js';
import { SharedView } from './shared-view.js';

type State =
  | { readonly kind: 'opening' }
  | { readonly kind: 'open'; readonly shared: SharedObject }
  | { readonly kind: 'failed'; readonly trouble: ShareTrouble };

/** What a share link opens, for whoever has it. The link stays in the page's address and goes nowhere. */
export function SharePage() {
  const [link, setLink] = useState(location.href);
  const [attempt, setAttempt] = useState(0);
  const [state, setState] = useState<State>({ kind: 'opening' });
  const desk = useMemo(() => {
    const opened = StreamDesk.open();
    // Whoever needs it hears of it.
    opened.catch(() => undefined);
    return opened;
  }, []);

  useEffect(() => {
    const stop = new AbortController();
    addEventListener('hashchange', () => setLink(location.href), { signal: stop.signal });
    return () => stop.abort();
  }, []);

  useEffect(() => {
    const stop = new AbortController();
    let opened: SharedObject | undefined;
    const open = async () => {
      const parsed = parseShareLink(link);
      const host = await hostNetwork();
      opened = await openShare(parsed, {
        bootstrap: host?.bootstrap ?? [],
        signal: stop.signal,
      });
      if (stop.signal.aborted) return opened.close();
      document.title = `${opened.info.name} – shared by Granary`;
      setState({ kind: 'open', shared: opened });
    };
    setState({ kind: 'opening' });
    open().catch((error: unknown) => {
      if (!stop.signal.aborted) setState({ kind: 'failed', trouble: shareTroubleOf(error) });
    });
    return () => {
      stop.abort(new DOMException('the page shows another link', 'AbortError'));
      void opened?.close();
    };
  }, [link, attempt]);

  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        To the content
      </a>
      <PageBar title="Granary" />
      <main id="main" tabIndex={-1}>
        {state.kind === 'opening' && (
          <p class="soft waiting" role="status">
            Looking for what was shared …
          </p>
        )}
        {state.kind === 'open' && <SharedView shared={state.shared} desk={desk} />}
        {state.kind === 'failed' && (
          <section class="card" role="alert">
            <h1>{state.trouble.title}</h1>
            <p>{state.trouble.text}</p>
            {state.trouble.passing && (
              <p>
                <button type="button" class="button main" onClick={() => setAttempt(attempt + 1)}>
                  Try again
                </button>
              </p>
            )}
          </section>
        )}
      </main>
      {state.kind === 'open' && (
        <footer class="share-foot soft small">
          It is decrypted in this page, which gets it straight from those who keep it. The key is in
          the address after the “#”, and is sent to nobody.
        </footer>
      )}
      <Announcer />
    </>
  );
}

/** The address must keep its fragment: it is the link. */
function skip(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}
