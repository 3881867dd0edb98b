/** The commands of the way, each as a person would type it, timed. One that fails ends the proof with what it said. */
import { spawnSync } from 'node:child_process';

export interface Done {
  readonly command: string;
  readonly seconds: number;
}

export class Steps {
  readonly done: Done[] = [];

  constructor(
    readonly folder: string,
    readonly env: Readonly<Record<string, string>>,
    readonly say: (line: string) => void,
  ) {}

  /** `npm run …` in the copy. Returns what it said. */
  npm(script: string, ...args: string[]): string {
    const words = ['run', script, ...(args.length > 0 ? ['--', ...args] : [])];
    const shown = args.map((a) => (/^[\w./-]+$/.test(a) ? a : `'${a.replaceAll("'", "'\\''")}'`));
    const command = ['npm run', script, ...(args.length > 0 ? ['--', ...shown] : [])].join(' ');
    const started = Date.now();
    const ran = spawnSync('npm', words, {
      cwd: this.folder,
      encoding: 'utf8',
      env: { ...process.env, ...this.env, NEXT_TELEMETRY_DISABLED: '1' },
      maxBuffer: 64 * 1024 * 1024,
    });
    this.#note(command, started);
    if (ran.status !== 0) throw new Error(`${command} ended with ${ran.status}:\n${ran.stdout}${ran.stderr}`);
    return ran.stdout;
  }

  async timed<T>(command: string, work: () => Promise<T>): Promise<T> {
    const started = Date.now();
    const result = await work();
    this.#note(command, started);
    return result;
  }

  get seconds(): number {
    return this.done.reduce((sum, step) => sum + step.seconds, 0);
  }

  #note(command: string, started: number): void {
    const seconds = (Date.now() - started) / 1000;
    this.done.push({ command, seconds });
    this.say(`${clock(this.seconds)}  ${command}  (${seconds.toFixed(1)} s)`);
  }
}

export const clock = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
