/** How something can be shown. */
export type Look = 'image' | 'video' | 'audio' | 'text';

const TYPES: Record<string, string> = {
  apng: 'image/apng',
  avif: 'image/avif',
  bmp: 'image/bmp',
  gif: 'image/gif',
  ico: 'image/x-icon',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  png: 'image/png',
  svg: 'image/svg+xml',
  webp: 'image/webp',
  m4v: 'video/mp4',
  mov: 'video/quicktime',
  mp4: 'video/mp4',
  ogv: 'video/ogg',
  webm: 'video/webm',
  aac: 'audio/aac',
  flac: 'audio/flac',
  m4a: 'audio/mp4',
  mp3: 'audio/mpeg',
  oga: 'audio/ogg',
  ogg: 'audio/ogg',
  opus: 'audio/ogg',
  wav: 'audio/wav',
};

const TEXT = new Set(
  (
    'c cc cfg conf cpp cs css csv diff env go h hpp html ini java js json jsonl kt log lua md mjs nix ' +
    'patch php pl properties ps1 py r rb rs rst sh sql srt tex toml ts tsv tsx txt xml yaml yml'
  ).split(' '),
);

/** The media type that a name tells of. It is not stored: names are all there is. */
export function mediaTypeOf(name: string): string {
  const extension = extensionOf(name);
  if (TEXT.has(extension)) return 'text/plain';
  return TYPES[extension] ?? 'application/octet-stream';
}

/** How to show what has such a name; undefined when it can't be shown. */
export function lookOf(name: string): Look | undefined {
  const kind = mediaTypeOf(name).split('/')[0];
  return kind === 'application' ? undefined : (kind as Look);
}

function extensionOf(name: string): string {
  return /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? '';
}
