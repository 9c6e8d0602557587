import { type ChildProcess, spawn } from 'node:child_process';
import { type CommandOptions, type Finished, must, run } from './command.js';

/** A process that was started on a host of the lab, and all that it has printed. */
export interface LabProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Both streams, as they came. */
  output(): string;
  /** Wait until the output matches; rejects when the process ends before or time is up. */
  printed(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** Send a signal (SIGTERM when none is given), and wait for the end; SIGKILL after a minute. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** A host of the lab: a network namespace of its own. */
export class LabHost {
  constructor(
    /** What it is called in the test. */
    readonly name: string,
    /** The name of its network namespace. */
    readonly namespace: string,
    /** Its own IPv4 address, on the interface `eth0` (a router: on `wan`). */
    readonly address: string,
  ) {}

  /** Run a command on the host to its end. */
  run(file: string, args: readonly string[], options?: CommandOptions): Promise<Finished> {
    return run('ip', ['netns', 'exec', this.namespace, file, ...args], options);
  }

  /** Run a command on the host that has to succeed: what it printed. */
  must(file: string, args: readonly string[], options?: CommandOptions): Promise<string> {
    return must('ip', ['netns', 'exec', this.namespace, file, ...args], options);
  }

  /** `ip -n NAMESPACE …`: addresses, links and routes of the host. */
  ip(...args: string[]): Promise<string> {
    return must('ip', ['-n', this.namespace, ...args]);
  }

  /** Start a process on the host. The lab ends it when it closes. */
  start(
    file: string,
    args: readonly string[],
    options: Omit<CommandOptions, 'timeoutMs' | 'input'> = {},
  ): LabProcess {
    const child = spawn('ip', ['netns', 'exec', this.namespace, file, ...args], {
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    });
    let output = '';
    let ended = false;
    const listeners = new Set<() => void>();
    const changed = () => {
      for (const listener of [...listeners]) listener();
    };
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        output += data.toString();
        changed();
      });
    }
    const end = new Promise<number | null>((resolve) => {
      const finish = (code: number | null) => {
        ended = true;
        changed();
        resolve(code);
      };
      child.once('error', () => finish(null));
      child.once('close', finish);
    });
    return {
      child,
      pid: child.pid ?? 0,
      output: () => output,
      printed: (pattern, timeoutMs = 60_000) =>
        new Promise((resolve, reject) => {
          const finish = (settle: () => void) => {
            clearTimeout(timer);
            listeners.delete(look);
            settle();
          };
          const fail = (why: string) =>
            finish(() =>
              reject(
                new Error(`${file} on ${this.name} ${why} ${pattern}. It printed:\n${output}`),
              ),
            );
          const look = () => {
            const match = pattern.exec(output);
            if (match !== null) finish(() => resolve(match));
            else if (ended) fail('ended without printing');
          };
          const timer = setTimeout(() => fail(`did not print in ${timeoutMs} ms`), timeoutMs);
          listeners.add(look);
          look();
        }),
      stop: async (signal = 'SIGTERM') => {
        if (!ended) child.kill(signal);
        const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
        const code = await end;
        clearTimeout(timer);
        return code;
      },
    };
  }
}
