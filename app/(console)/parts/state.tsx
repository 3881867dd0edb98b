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
      <strong className={`whitespace-nowrap ${COLORS[tone]}`}>
        <span aria-hidden="true">{mark}</span> {word}
      </strong>
      {children && <> {children}</>}
    </span>
  );
}

/** How much is done, of a total that is known. */
export const Progress = ({ share, label }: { share: number; label: string }) => (
  <progress value={share} max={1} aria-label={label} className="mt-1 block h-2 w-full max-w-60" />
);
