/** What went wrong, for people. */
export interface Trouble {
  /** What it is, in one sentence. */
  readonly text: string;
  /** What to do about it. */
  readonly advice: string;
  /** Whether it may go by itself, so that it is worth trying again after a while. */
  readonly passing: boolean;
  /** The stable code, for who asks for help. */
  readonly code: string;
}

type Words = Omit<Trouble, 'code'>;

const AGAIN = 'It is tried again by itself.';

const KNOWN: Record<string, Words> = {
  RENTER_BAD_WORDS: {
    text: 'These are not 24 words that belong together.',
    advice: 'Check their spelling and their order.',
    passing: false,
  },
  RENTER_NETWORK_UNREACHABLE: {
    text: 'The network can’t be reached.',
    advice: `Check your connection, and the addresses of the network in the settings. ${AGAIN}`,
    passing: true,
  },
  RENTER_NOT_ENOUGH_FARMERS: {
    text: 'Too few farmers can take it now.',
    advice: `Wait for more of them, or choose less redundancy in the settings. ${AGAIN}`,
    passing: true,
  },
  RENTER_NOT_ENOUGH_SHARDS: {
    text: 'Too few of the farmers that hold it answer now.',
    advice: `It can be read as soon as enough of them are back. ${AGAIN}`,
    passing: true,
  },
  RENTER_STALLED: {
    text: 'A farmer stopped answering in the middle.',
    advice: AGAIN,
    passing: true,
  },
  RENTER_TRANSFER: {
    text: 'The connection to a farmer broke.',
    advice: AGAIN,
    passing: true,
  },
  RENTER_NOT_FOUND: {
    text: 'It is not there any more.',
    advice: 'It was deleted or renamed, here or in another tab.',
    passing: false,
  },
  RENTER_SOURCE: {
    text: 'The file can’t be read.',
    advice: 'It was changed, moved or deleted since it was chosen: choose it again.',
    passing: false,
  },
  RENTER_STORE: {
    text: 'The browser does not let us keep anything.',
    advice: 'Private windows often don’t, and full disks don’t. Make room, or use a normal window.',
    passing: false,
  },
  RENTER_INDEX: {
    text: 'The list of your files in the network can’t be read.',
    advice: 'Try again when more farmers answer.',
    passing: false,
  },
  RENTER_INDEX_CONFLICT: {
    text: 'Another device wrote with the same words.',
    advice: 'Fetch everything anew from the network: in the menu of your account.',
    passing: false,
  },
  RENTER_NOTHING_TO_RECOVER: {
    text: 'Nothing is stored under these words in this network.',
    advice: 'Check the words, and that the addresses are of the right network.',
    passing: false,
  },
  RENTER_LYING_FARMER: {
    text: 'A farmer gave wrong bytes. None of them were used.',
    advice: AGAIN,
    passing: true,
  },
  RENTER_DECRYPT: {
    text: 'It can’t be decrypted with your words.',
    advice: 'Its bytes were altered. Nothing of it was used.',
    passing: false,
  },
  RENTER_BAD_PATH: {
    text: 'That is not a name that can be stored.',
    advice: 'Names have 1 to 1,024 bytes; names of buckets a-z, 0-9, “.” and “-”.',
    passing: false,
  },
  RENTER_PLATFORM: {
    text: 'This browser lacks something that Granary needs.',
    advice: 'Open the page over https, in a browser of this year or the last.',
    passing: false,
  },
  WEB_NO_SERVICE_WORKER: {
    text: 'This browser has no service worker for us.',
    advice: 'Private windows of some browsers have none. Use a normal window.',
    passing: false,
  },
  WEB_REPLACED: {
    text: 'It was replaced by a new version meanwhile.',
    advice: 'The new version is fetched.',
    passing: true,
  },
  WEB_SAVE_STOPPED: {
    text: 'The browser stopped saving it.',
    advice: 'Try again, and let it save the file. Other downloads may be in its way.',
    passing: false,
  },
  QuotaExceededError: {
    text: 'The browser has no room for it.',
    advice: 'Make room on the disk, or choose “straight to the disk” in the settings.',
    passing: false,
  },
  NotFoundError: {
    text: 'The file is gone.',
    advice: 'It was moved or deleted since it was chosen: choose it again.',
    passing: false,
  },
  NotReadableError: {
    text: 'The file can’t be read.',
    advice: 'It was changed since it was chosen, or you may not read it: choose it again.',
    passing: false,
  },
  NotAllowedError: {
    text: 'The browser does not let us read the file.',
    advice: 'Choose it again, and allow it.',
    passing: false,
  },
};

/** Anything thrown, in plain words. */
export function troubleOf(error: unknown): Trouble {
  const { code, name, message } = (error ?? {}) as Partial<
    Record<'code' | 'name' | 'message', unknown>
  >;
  for (const key of [code, name]) {
    const known = typeof key === 'string' ? KNOWN[key] : undefined;
    if (known !== undefined) return { ...known, code: key as string };
  }
  // Codes of the DHT and of payments: mostly of connections.
  const network = typeof code === 'string' && /^(KAD|FARMER)_/.test(code);
  return {
    text: network ? 'A node of the network did not do what it was asked.' : 'Something went wrong.',
    advice: typeof message === 'string' && message !== '' ? message : String(error),
    passing: network,
    code: typeof code === 'string' ? code : typeof name === 'string' ? name : 'unknown',
  };
}
