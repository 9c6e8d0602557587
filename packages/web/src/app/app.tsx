import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { isAccessGrant } from '@granary/protocol';
import { shareTroubleOf } from '../share/share-trouble.js';
import { StreamDesk } from '../stream-worker/stream-desk.js';
import { Announcer, announce } from './announcer.js';
import { type AppDatabase, openAppDatabase } from './app-database.js';
import { Bar } from './bar.js';
import { GrantedSession } from './granted-session.js';
import { GrantedView } from './granted-view.js';
import { Home } from './home.js';
import { forgetSecret, keepSecret, keptSecret } from './kept-secret.js';
import {
  type HostNetwork,
  type OwnSettings,
  hostNetwork,
  ownSettings,
  saveSettings,
  settingsOf,
} from './network-settings.js';
import { type Over, Session } from './session.js';
import { SignIn, type SignInChoice } from './sign-in.js';
import type { Transfer } from './transfer-queue.js';
import { type Trouble, troubleOf } from './trouble.js';

const OVER: Record<Over, string> = {
  'signed-out': 'You have signed out in another tab.',
  erased: 'You have signed out, and this browser has nothing of your files any more.',
  renewed: 'Your files were fetched anew in another tab: open them again here.',
};

const ENDED_MS = 1_500;
let ended: Transfer[] = [];

/** Say what has ended: those that end together in one sentence. */
function tell(transfer: Transfer): void {
  ended.push(transfer);
  if (ended.length > 1) return;
  setTimeout(() => {
    const those = ended;
    ended = [];
    announce(endedInWords(those));
  }, ENDED_MS);
}

function endedInWords(those: readonly Transfer[]): string {
  const failed = those.filter(({ state }) => state !== 'done');
  const [first] = failed.length > 0 ? failed : those;
  const what = `${first!.kind === 'upload' ? 'Upload' : 'Download'} of ${first!.name}`;
  if (failed.length > 0) {
    const rest = failed.length > 1 ? ` And ${failed.length - 1} more failed.` : '';
    return `${what} failed: ${first!.trouble?.text ?? ''}${rest}`;
  }
  return those.length === 1 ? `${what} is done.` : `${those.length} transfers are done.`;
}

/** The app for those who store files. */
export function App() {
  const [db, setDb] = useState<AppDatabase | undefined>(undefined);
  const [host, setHost] = useState<HostNetwork | undefined>(undefined);
  const [own, setOwn] = useState<OwnSettings>(ownSettings);
  const [session, setSession] = useState<Session | undefined>(undefined);
  const [granted, setGranted] = useState<GrantedSession | undefined>(undefined);
  const [ready, setReady] = useState(false);
  const [opening, setOpening] = useState<string | undefined>(undefined);
  const [trouble, setTrouble] = useState<Trouble | undefined>(undefined);
  const [notice, setNotice] = useState<string | undefined>(undefined);
  const settings = useMemo(() => settingsOf(host, own), [host, own]);
  const current = useRef<Session | undefined>(undefined);
  const desk = useMemo(() => {
    const opened = StreamDesk.open();
    // Whoever needs it hears of it.
    opened.catch(() => undefined);
    return opened;
  }, []);

  const enter = async (
    { secret, keep, recover }: SignInChoice,
    database = db,
    inForce = settings,
  ) => {
    if (database === undefined) return;
    setTrouble(undefined);
    setNotice(undefined);
    setOpening('Opening …');
    try {
      const opened = await Session.open({
        secret,
        settings: inForce,
        db: database,
        desk,
        recover,
        onStep: setOpening,
        onEnd: tell,
        onOver: (why) => void leave(why),
      });
      if (keep) await keepSecret(database, secret);
      void navigator.storage.persist?.().catch(() => false);
      current.current = opened;
      setSession(opened);
    } catch (error) {
      setTrouble(troubleOf(error));
    } finally {
      setOpening(undefined);
    }
  };

  /** Sign in by an access grant. It is not kept; one in the address stays there. */
  const enterGranted = async (grant: string, inForce = settings) => {
    setTrouble(undefined);
    setNotice(undefined);
    setOpening('Looking for what you were given access to …');
    try {
      setGranted(await GrantedSession.open(grant, inForce.bootstrap));
    } catch (error) {
      const { title, text, passing } = shareTroubleOf(error, 'access grant');
      const { code } = troubleOf(error);
      setTrouble({ text: `${title}.`, advice: text, passing, code });
    } finally {
      setOpening(undefined);
    }
  };
  const leaveGranted = () => {
    history.replaceState(null, '', location.pathname);
    // What was in memory goes with the page.
    location.reload();
  };

  const leave = async (why: Over) => {
    await current.current?.close();
    current.current = undefined;
    setNotice(OVER[why]);
    setSession(undefined);
  };

  useEffect(() => {
    const begin = async () => {
      const [database, found] = await Promise.all([openAppDatabase(), hostNetwork()]);
      setDb(database);
      setHost(found);
      if (isAccessGrant(location.href)) {
        return enterGranted(location.href, settingsOf(found, own));
      }
      const secret = await keptSecret(database);
      if (secret !== undefined) {
        const inForce = settingsOf(found, own);
        await enter({ secret, keep: false, recover: 'try' }, database, inForce);
      }
    };
    begin()
      .catch((error: unknown) => setTrouble(troubleOf(error)))
      .finally(() => setReady(true));
  }, []);

  useEffect(() => {
    if (session === undefined) return;
    const stop = new AbortController();
    addEventListener(
      'beforeunload',
      (event) => {
        if (session.transfers.queue.busy) event.preventDefault();
      },
      { signal: stop.signal },
    );
    return () => stop.abort();
  }, [session]);

  useEffect(() => {
    const stop = new AbortController();
    // A link to sign in by that came into a page that was open already.
    const onHash = () => {
      if (isAccessGrant(location.href)) location.reload();
    };
    addEventListener('hashchange', onHash, { signal: stop.signal });
    return () => stop.abort();
  }, []);

  const changeSettings = (changed: OwnSettings) => {
    saveSettings(changed);
    setOwn(changed);
    session?.apply(settingsOf(host, changed));
  };
  const signOut = async (why: Over) => {
    if (db === undefined || session === undefined) return;
    if (why === 'renewed') {
      const { secret } = session;
      await session.end(why);
      setSession(undefined);
      return enter({ secret, keep: false, recover: 'try' });
    }
    await forgetSecret(db);
    await session.end(why);
    // What was in memory goes with the page, and where it was.
    history.replaceState(null, '');
    location.reload();
  };

  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        To the content
      </a>
      <Bar
        session={session}
        host={host}
        own={own}
        onSettings={changeSettings}
        onSignOut={(why) => void signOut(why)}
      />
      <main id="main" tabIndex={-1}>
        {granted !== undefined ? (
          <GrantedView session={granted} desk={desk} onLeave={leaveGranted} />
        ) : session !== undefined ? (
          <Home session={session} desk={desk} />
        ) : ready ? (
          <SignIn
            host={host}
            own={own}
            settings={settings}
            onSettings={changeSettings}
            onSignIn={(choice) => void enter(choice)}
            onGrant={(grant) => void enterGranted(grant)}
            opening={opening}
            trouble={trouble}
            notice={notice}
          />
        ) : (
          <p class="soft waiting" role="status">
            {opening ?? 'Opening …'}
          </p>
        )}
      </main>
      <Announcer />
    </>
  );
}

/** The address must keep its fragment: it may be an access grant. */
function skip(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}
