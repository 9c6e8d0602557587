import { troubleOf } from '../app/trouble.js';

/** Why a link does not open, for people. */
export interface ShareTrouble {
  readonly title: string;
  readonly text: string;
  /** Whether it is worth trying again. */
  readonly passing: boolean;
}

/** Anything thrown while a link or an access grant was opened or read, in plain words. */
export function shareTroubleOf(
  error: unknown,
  what: 'link' | 'access grant' = 'link',
): ShareTrouble {
  const { code, message = '' } = (error ?? {}) as { code?: unknown; message?: string };
  switch (code) {
    case 'RENTER_SHARE_ENDED':
      return {
        title: `This ${what} does not work any more`,
        text: sentence(message),
        passing: false,
      };
    case 'RENTER_SHARE_EXPIRED':
      return { title: `This ${what} has expired`, text: sentence(message), passing: false };
    case 'RENTER_SHARE_LIMIT':
      return { title: 'This can’t be read now', text: sentence(message), passing: true };
    case 'RENTER_SHARE':
      return { title: `This ${what} does not open`, text: sentence(message), passing: false };
    case 'RENTER_NOT_FOUND':
      return {
        title: `Nothing was found under this ${what}`,
        text: 'It may not be whole, it ended long ago, or it is of another network. Ask whoever gave it to you for a new one.',
        passing: true,
      };
    case 'PROTOCOL_MALFORMED':
      return { title: `This is not a whole ${what}`, text: sentence(message), passing: false };
    default: {
      const { text, advice, passing } = troubleOf(error);
      return { title: text, text: advice, passing };
    }
  }
}

/** A message of ours as a sentence. */
function sentence(message: string): string {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
