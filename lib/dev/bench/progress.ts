/** What the bench is doing: one line that is written over, or a line every ten seconds where the output is no terminal. */

const TERMINAL_MS = 200;
const LOG_MS = 10_000;

let step = '';
let since = 0;
let saidAt = 0;

/** Begins a step, such as `ways: round 2 of 5, one unbounded DELETE`. */
export function begin(name: string): void {
  step = name;
  since = performance.now();
  saidAt = process.stdout.isTTY ? 0 : since;
  under('');
}

/** How far the step is; called as often as one likes. */
export function under(how: string): void {
  const now = performance.now();
  if (now - saidAt < (process.stdout.isTTY ? TERMINAL_MS : LOG_MS)) return;
  saidAt = now;
  const line = `${step}, ${Math.round((now - since) / 1000)} s${how && `, ${how}`}`;
  process.stdout.write(process.stdout.isTTY ? `\r\x1b[2K${line}` : `${line}\n`);
}

/** A line that stays. */
export function say(line: string): void {
  process.stdout.write(`${process.stdout.isTTY ? '\r\x1b[2K' : ''}${line}\n`);
}
