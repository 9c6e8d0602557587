/** What went wrong and why, for logs: the messages of an error and of its causes, with their codes. */
export function errorText(error: unknown): string {
  const parts: string[] = [];
  for (let at = error, depth = 0; at !== undefined && at !== null && depth < 5; depth++) {
    if (!(at instanceof Error)) {
      parts.push(String(at));
      break;
    }
    const { code } = at as { code?: unknown };
    parts.push(typeof code === 'string' ? `${code}: ${at.message}` : at.message);
    at = at.cause;
  }
  return parts.join('; because ');
}
