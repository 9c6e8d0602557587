import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { parseAccessGrant } from '@granary/protocol';
import { entropyFromWords, generateWords } from '@granary/renter';
import { Icon } from './icons.js';
import type { AppSettings, HostNetwork, OwnSettings } from './network-settings.js';
import type { Recover } from './session.js';
import { SettingsForm } from './settings-form.js';
import { type Trouble, troubleOf } from './trouble.js';

/** How somebody signs in. */
export interface SignInChoice {
  readonly secret: Uint8Array;
  readonly keep: boolean;
  readonly recover: Recover;
}

type Step = 'start' | 'new' | 'confirm' | 'words' | 'grant';
/** Words asked for again, to see that they were written down. */
const ASKED = 3;
/** Bytes of a file that may be an access grant. */
const MAX_GRANT_FILE = 4096;

/** The way in: with new words, or with those that one has. */
export function SignIn(props: {
  readonly host: HostNetwork | undefined;
  readonly own: OwnSettings;
  readonly settings: AppSettings;
  readonly onSettings: (own: OwnSettings) => void;
  readonly onSignIn: (choice: SignInChoice) => void;
  /** Sign in by an access grant. */
  readonly onGrant: (grant: string) => void;
  /** What is being done; undefined while nothing is. */
  readonly opening: string | undefined;
  readonly trouble: Trouble | undefined;
  readonly notice: string | undefined;
}) {
  const { host, own, settings, onSettings, onSignIn, onGrant, opening, trouble, notice } = props;
  const [step, setStep] = useState<Step>('start');
  const [words, setWords] = useState('');
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) first.current = false;
    else heading.current?.focus();
  }, [step]);
  const [kept, setKept] = useState<SignInChoice | undefined>(undefined);
  const enter = (choice: SignInChoice) => {
    setKept(choice);
    onSignIn(choice);
  };
  const titles: Record<Step, string> = {
    start: 'Your files, with nobody else’s eyes on them',
    new: 'These 24 words are your key',
    confirm: 'Have you written them down?',
    words: 'Open your files',
    grant: 'Open what you were given access to',
  };
  const known = settings.bootstrap.length > 0;
  return (
    <div class="entrance">
      <article class="card">
        <h1 ref={heading} tabIndex={-1}>
          {titles[step]}
        </h1>
        {notice !== undefined && step === 'start' && <p class="banner busy">{notice}</p>}
        {step === 'start' && (
          <>
            <p>
              Granary encrypts what you store in this page, cuts it into pieces, and spreads them
              over farmers. None of them can read it, and most of them may vanish without loss. Your
              key never leaves this page.
            </p>
            <div class="choices">
              <button
                type="button"
                class="button main large"
                onClick={() => {
                  setWords(generateWords());
                  setStep('new');
                }}
              >
                I am new here
              </button>
              <button type="button" class="button large" onClick={() => setStep('words')}>
                I have my 24 words
              </button>
              <button type="button" class="button large" onClick={() => setStep('grant')}>
                I have an access grant
              </button>
            </div>
            <details class="network" open={!known}>
              <summary>
                {settings.source === 'host' && 'The network of this site'}
                {settings.source === 'own' && 'A network of your own choice'}
                {settings.source === 'none' && 'Which network? This site names none'}
              </summary>
              <SettingsForm host={host} own={own} onSave={onSettings} />
            </details>
          </>
        )}
        {step === 'new' && (
          <NewWords
            words={words}
            onNext={() => setStep('confirm')}
            onBack={() => {
              setWords('');
              setStep('start');
            }}
          />
        )}
        {step === 'confirm' && (
          <ConfirmWords
            words={words}
            opening={opening}
            onBack={() => setStep('new')}
            onDone={(keep) => enter({ secret: entropyFromWords(words), keep, recover: 'no' })}
          />
        )}
        {step === 'words' && (
          <KnownWords
            opening={opening}
            onBack={() => setStep('start')}
            onDone={(secret, keep) => enter({ secret, keep, recover: 'must' })}
          />
        )}
        {step === 'grant' && (
          <KnownGrant opening={opening} onBack={() => setStep('start')} onDone={onGrant} />
        )}
        <div role="alert" class="alert">
          {trouble !== undefined && (
            <div class="banner bad">
              <strong>{trouble.text}</strong> {trouble.advice}
              {trouble.code === 'RENTER_NOTHING_TO_RECOVER' && kept !== undefined && (
                <p>
                  <button
                    type="button"
                    class="button"
                    onClick={() => enter({ ...kept, recover: 'no' })}
                  >
                    Begin with nothing stored
                  </button>
                </p>
              )}
            </div>
          )}
        </div>
      </article>
    </div>
  );
}

function NewWords(props: {
  readonly words: string;
  readonly onNext: () => void;
  readonly onBack: () => void;
}) {
  const { words, onNext, onBack } = props;
  const [copied, setCopied] = useState(false);
  return (
    <>
      <p>
        Write them down in this order, on paper, and keep them safe. Who has them has your files;
        who loses them has lost their files. Nobody can give them back to you.
      </p>
      <ol class="words" aria-label="Your 24 words">
        {words.split(' ').map((word, i) => (
          <li key={i}>{word}</li>
        ))}
      </ol>
      <div class="row">
        <button type="button" class="button" onClick={onBack}>
          Back
        </button>
        <button
          type="button"
          class="button"
          onClick={() => {
            navigator.clipboard.writeText(words).then(
              () => setCopied(true),
              () => setCopied(false),
            );
          }}
        >
          Copy
        </button>
        <span role="status" class="soft small">
          {copied ? 'Copied. Other programs can read the clipboard.' : ''}
        </span>
        <button type="button" class="button main end" onClick={onNext}>
          I have written them down
        </button>
      </div>
    </>
  );
}

/** Places of words, without saying which the next time. */
function somePlaces(): number[] {
  const places = new Set<number>();
  while (places.size < ASKED) places.add(crypto.getRandomValues(new Uint8Array(1))[0]! % 24);
  return [...places].sort((a, b) => a - b);
}

function ConfirmWords(props: {
  readonly words: string;
  readonly opening: string | undefined;
  readonly onBack: () => void;
  readonly onDone: (keep: boolean) => void;
}) {
  const { words, opening, onBack, onDone } = props;
  const [places] = useState(somePlaces);
  const [wrong, setWrong] = useState<number | undefined>(undefined);
  const id = useId();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const all = words.split(' ');
    const missed = places.find((place) => {
      const typed = form.get(`word-${place}`);
      return typeof typed !== 'string' || typed.trim().toLowerCase() !== all[place];
    });
    setWrong(missed);
    if (missed === undefined) onDone(form.get('keep') === 'on');
  };
  return (
    <form class="form" onSubmit={submit}>
      <p>Type these of your words:</p>
      <div class="asked">
        {places.map((place, i) => (
          <div key={place}>
            <label for={`${id}-${place}`}>Word {place + 1}</label>
            <input
              id={`${id}-${place}`}
              name={`word-${place}`}
              type="text"
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              required
              aria-invalid={wrong === place}
              autofocus={i === 0}
            />
          </div>
        ))}
      </div>
      <p class="fault" role="alert">
        {wrong !== undefined && `Word ${wrong + 1} is another one. Look at what you have written.`}
      </p>
      <Keep />
      <Enter opening={opening} onBack={onBack} text="Begin" />
    </form>
  );
}

function KnownWords(props: {
  readonly opening: string | undefined;
  readonly onBack: () => void;
  readonly onDone: (secret: Uint8Array, keep: boolean) => void;
}) {
  const { opening, onBack, onDone } = props;
  const [fault, setFault] = useState('');
  const id = useId();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const typed = form.get('words');
    try {
      const secret = entropyFromWords(typeof typed === 'string' ? typed : '');
      setFault('');
      onDone(secret, form.get('keep') === 'on');
    } catch (error) {
      const { text, advice } = troubleOf(error);
      setFault(`${text} ${advice}`);
    }
  };
  return (
    <form class="form" onSubmit={submit}>
      <div>
        <label for={id}>Your 24 words, with spaces between them</label>
        <textarea
          id={id}
          name="words"
          rows={4}
          required
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          aria-invalid={fault !== ''}
          autofocus
        />
      </div>
      <p class="fault" role="alert">
        {fault}
      </p>
      <Keep />
      <Enter opening={opening} onBack={onBack} text="Open" />
    </form>
  );
}

function KnownGrant(props: {
  readonly opening: string | undefined;
  readonly onBack: () => void;
  readonly onDone: (grant: string) => void;
}) {
  const { opening, onBack, onDone } = props;
  const [text, setText] = useState('');
  const [fault, setFault] = useState('');
  const id = useId();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    try {
      parseAccessGrant(text);
      setFault('');
      onDone(text);
    } catch (error) {
      setFault(sentenceOf(error));
    }
  };
  const choose = async (file: File | undefined) => {
    if (file === undefined) return;
    if (file.size > MAX_GRANT_FILE)
      return setFault('That file is too large to be an access grant.');
    try {
      setText((await file.text()).trim());
      setFault('');
    } catch (error) {
      setFault(troubleOf(error).text);
    }
  };
  return (
    <form class="form" onSubmit={submit}>
      <p>
        Somebody has given you access to some of their files. You can look at them and download
        them. Nothing of the grant is kept in this browser.
      </p>
      <div>
        <label for={id}>The access grant</label>
        <textarea
          id={id}
          rows={4}
          required
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          aria-invalid={fault !== ''}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          autofocus
        />
      </div>
      <div>
        <label for={`${id}-file`}>Or the file that it is in</label>
        <input
          id={`${id}-file`}
          type="file"
          onChange={(event) => void choose(event.currentTarget.files?.[0])}
        />
      </div>
      <p class="fault" role="alert">
        {fault}
      </p>
      <Enter opening={opening} onBack={onBack} text="Open" />
    </form>
  );
}

/** A message of ours as a sentence. */
function sentenceOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
}

function Keep() {
  const id = useId();
  return (
    <div class="tick">
      <input type="checkbox" name="keep" id={id} aria-describedby={`${id}-help`} />
      <div>
        <label for={id}>Keep me signed in on this device</label>
        <p class="soft small" id={`${id}-help`}>
          The words are kept in this browser, encrypted. Whoever can use this browser can then open
          your files. Without it they are in memory only, until this tab is closed.
        </p>
      </div>
    </div>
  );
}

function Enter(props: {
  readonly opening: string | undefined;
  readonly onBack: () => void;
  readonly text: string;
}) {
  const { opening, onBack, text } = props;
  return (
    <div class="row">
      <button type="button" class="button" onClick={onBack} disabled={opening !== undefined}>
        Back
      </button>
      <span role="status" class="soft small">
        {opening ?? ''}
      </span>
      <button type="submit" class="button main end" disabled={opening !== undefined}>
        <Icon name="play" />
        {text}
      </button>
    </div>
  );
}
