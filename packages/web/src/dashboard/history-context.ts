import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Row } from '../messages/stream.js';

/** The rows of the span of time that was chosen. */
export const HistoryContext = createContext<readonly Row[]>([]);

/** The rows of the span of time that was chosen. */
export function useRows(): readonly Row[] {
  return useContext(HistoryContext);
}
