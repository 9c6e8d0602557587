/** Long enough for the browser to have taken it up; the bytes stay where they are. */
const REVOKE_MS = 10 * 60_000;

/** Have the browser save a blob as a file. It is copied by the browser, and never whole in memory. */
export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.hidden = true;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_MS);
}
