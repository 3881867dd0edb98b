/** A state: a mark, a word and a sentence; the color only repeats them. */
import type { ReactNode } from 'react';
import type { Tone } from '@/lib/http/console/sentences';

const COLORS: Record<Tone, string> = {
  run: 'text-run',
  good: 'text-good',
  wait: 'text-warn',
  bad: 'text-bad',
  rest: 'text-quiet',
};

export function State(props: { mark: string; word: string; tone: Tone; children?: ReactNode }) {
  const { mark, word, tone, children } = props;
  return (
    <span>
      <strong className={`sm:whitespace-nowrap ${COLORS[tone]}`}>
        <span aria-hidden="true">{mark}</span> {word}
      </strong>
      {children && <> {children}</>}
    </span>
  );
}

/** A clock that runs: what is left of it in words, and how much of it has passed. */
export function Clock(props: { left: string; passed: number; label: string; late: boolean }) {
  const { left, passed, label, late } = props;
  const tone = late ? 'bad' : passed >= NEAR ? 'wait' : null;
  return (
    <span className="grid gap-1">
      <span className={tone ? COLORS[tone] : undefined}>{left}</span>
      <progress value={passed} max={1} aria-label={label} data-tone={tone ?? undefined} className="w-28" />
    </span>
  );
}
/** As the alerts have it: with a fifth of its time left somebody should look. */
const NEAR = 0.8;

/** How much is done, of a total that is known. */
export const Progress = ({ share, label }: { share: number; label: string }) => (
  <progress value={share} max={1} aria-label={label} className="mt-1 w-full max-w-60" />
);
