import { type ChildProcess, spawn } from 'node:child_process';

/** What a finished command left. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a command. */
export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
  /** Milliseconds until it is killed. Default 120,000. */
  readonly timeoutMs?: number;
}

/** Run a command to its end. Rejects only when it can't be started. */
export function run(
  file: string,
  args: readonly string[],
  { env, cwd, input, timeoutMs = 120_000 }: CommandOptions = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(file, args, {
      env: { ...process.env, ...env },
      ...(cwd !== undefined && { cwd }),
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout!.on('data', (data: Buffer) => (stdout += data.toString()));
    child.stderr!.on('data', (data: Buffer) => (stderr += data.toString()));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin!.on('error', () => undefined);
    child.stdin!.end(input);
  });
}

/** Run a command that has to succeed: what it printed. @throws Error with what it said. */
export async function must(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(file, args, options);
  if (code !== 0) {
    throw new Error(`${file} ${args.join(' ')} ended with ${code}: ${stderr.trim() || stdout}`);
  }
  return stdout;
}
