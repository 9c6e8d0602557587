import { type ChildProcess, fork } from 'node:child_process';
import type { ChildOperations, ChildRequest, ChildResponse, Usage } from './child.js';

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** A process that runs nodes. */
export class NodeProcess {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 0;
  private readonly exited: Promise<void>;

  constructor(execArgv: readonly string[] = []) {
    this.child = fork(new URL('./child.js', import.meta.url), {
      execArgv: ['--expose-gc', ...execArgv],
    });
    this.child.on('message', ({ id, result, error }: ChildResponse) => {
      const call = this.waiting.get(id);
      this.waiting.delete(id);
      if (error === undefined) call?.resolve(result);
      else call?.reject(new Error(error));
    });
    this.exited = new Promise((resolve) => {
      this.child.on('exit', (code, signal) => {
        for (const call of this.waiting.values()) {
          call.reject(new Error(`a process of nodes ended (${code ?? signal})`));
        }
        this.waiting.clear();
        resolve();
      });
    });
  }

  /** Ask for something. @throws Error when it fails, or takes longer than `timeoutMs`. */
  call<O extends keyof ChildOperations>(
    operation: O,
    args: Parameters<ChildOperations[O]>[0],
    timeoutMs = 90_000,
  ): Promise<ReturnType<ChildOperations[O]>> {
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error(`${operation} took longer than ${timeoutMs / 1000} s`));
      }, timeoutMs);
      const settle =
        <T>(end: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          end(value);
        };
      this.waiting.set(id, {
        resolve: settle(resolve as (value: unknown) => void),
        reject: settle(reject),
      });
      this.child.send({ id, operation, args } satisfies ChildRequest);
    });
  }

  /** Let it stop its nodes, then end it. */
  async end(): Promise<void> {
    await this.call('stop', {}, 10_000).catch(() => undefined);
    this.child.disconnect();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 5_000);
    await this.exited;
    clearTimeout(timer);
  }
}

/** Several processes that run the nodes of one system. */
export class Fleet {
  readonly processes: readonly NodeProcess[];

  constructor(size: number, execArgv: readonly string[] = []) {
    this.processes = Array.from({ length: size }, () => new NodeProcess(execArgv));
  }

  /** Ask all of them at once. */
  all<O extends keyof ChildOperations>(
    operation: O,
    args: (process: number) => Parameters<ChildOperations[O]>[0],
    timeoutMs?: number,
  ): Promise<ReturnType<ChildOperations[O]>[]> {
    return Promise.all(
      this.processes.map((process, i) => process.call(operation, args(i), timeoutMs)),
    );
  }

  /** What all of them together use. */
  async usage(): Promise<Usage> {
    const each = await this.all('usage', () => ({}));
    return {
      cpuMs: each.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
      rssBytes: each.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
    };
  }

  async end(): Promise<void> {
    await Promise.all(this.processes.map((process) => process.end()));
  }
}
