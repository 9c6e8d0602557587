import type { LabHost, LabProcess } from '../nat-lab/index.js';
import { must } from '../nat-lab/index.js';

/** Every packet that passes the one interface of a machine, in either direction, while it runs. */
export class Capture {
  private constructor(
    private readonly file: string,
    private readonly process: LabProcess,
  ) {}

  static async start(host: LabHost, file: string): Promise<Capture> {
    // Room for 64 MiB that it has not looked at yet: a busy machine lets it wait.
    const options = ['-i', 'eth0', '-n', '-U', '-B', '65536', '-Z', 'root', '-w', file];
    const process = host.start('tcpdump', options);
    await process.printed(/listening on eth0/);
    return new Capture(file, process);
  }

  /** Stop. @throws Error when packets were dropped before they were seen. */
  async stop(): Promise<void> {
    // What was sent last is to be in it.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await this.process.stop('SIGINT');
    const dropped = /(\d+) packets? dropped by kernel/.exec(this.process.output())?.[1];
    if (dropped !== '0') throw new Error(`the capture is not whole: ${this.process.output()}`);
  }

  /** The packets that a filter of tcpdump's lets pass, a line of text each; all without one. */
  async packets(filter = ''): Promise<string[]> {
    const text = await must('tcpdump', ['-n', '-r', this.file, filter].filter(Boolean));
    return text.split('\n').filter(Boolean);
  }
}
