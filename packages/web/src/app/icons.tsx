import { lookOf } from './media-type.js';
const PATHS = {
  bucket:
    'M4 6h16l-1.6 13.2A2 2 0 0 1 16.400 21H7.600a2 2 0 0 1-2-1.800L4 6Zm2.300 2 1.300 11h8.800l1.300-11H6.300ZM3 3h18v2H3V3Z',
  folder: 'M3 5h6.500l2 2.500H21V19H3V5Zm2 2v10h14V9.500h-8.500L8.500 7H5Z',
  file: 'M6 2.500h8.500L19 7v14.500H6v-19Zm2 2v15h9V8.500h-4v-4H8Z',
  image:
    'M3 4h18v16H3V4Zm2 2v9.600l4-4.100 3.500 3.500 3-2.500 3.500 3V6H5Zm10.500 1.500a2 2 0 1 1 0 4 2 2 0 0 1 0-4Z',
  video: 'M3 5h13v4l5-3v12l-5-3v4H3V5Zm2 2v10h9V7H5Z',
  audio: 'M9 4v10.300A3.500 3.500 0 1 0 11 17.500V8h7v6.300a3.500 3.500 0 1 0 2 3.200V4H9Z',
  text: 'M5 3h14v18H5V3Zm2 2v14h10V5H7Zm2 3h6v1.500H9V8Zm0 3.300h6v1.500H9v-1.500Zm0 3.200h4V16H9v-1.500Z',
  upload:
    'M11 16V7.800L7.700 11.100 6.300 9.700 12 4l5.700 5.700-1.400 1.400L13 7.800V16h-2Zm-7 2h16v2H4v-2Z',
  download:
    'M11 4v8.200L7.700 8.900l-1.400 1.400L12 16l5.700-5.700-1.400-1.400L13 12.200V4h-2ZM4 18h16v2H4v-2Z',
  plus: 'M11 4h2v7h7v2h-7v7h-2v-7H4v-2h7V4Z',
  dots: 'M5 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4Zm7 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4Zm7 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z',
  person:
    'M12 3a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9Zm0 11c4.400 0 8 2.500 8 5.500V21H4v-1.500c0-3 3.600-5.500 8-5.500Z',
  close:
    'm6.400 5 5.600 5.600L17.600 5 19 6.400 13.400 12l5.600 5.600-1.400 1.400-5.600-5.600L6.400 19 5 17.600l5.600-5.600L5 6.400 6.400 5Z',
  pause: 'M7 5h3.500v14H7V5Zm6.500 0H17v14h-3.500V5Z',
  play: 'M7 4.500v15l12-7.500-12-7.500Z',
  search:
    'M10.500 3a7.500 7.500 0 0 1 5.900 12.100l4.800 4.800-1.300 1.300-4.800-4.800A7.500 7.500 0 1 1 10.500 3Zm0 2a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11Z',
} as const;

/** A picture of the app's. */
export type IconName = keyof typeof PATHS;

/** A picture beside words that say the same. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path fill="currentColor" fill-rule="evenodd" d={PATHS[name]} />
    </svg>
  );
}

/** The icon of a file, by its name. */
export function iconOf(name: string): IconName {
  return lookOf(name) ?? 'file';
}
