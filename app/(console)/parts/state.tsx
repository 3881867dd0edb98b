/** A state: a mark, a word and a sentence; the color only repeats them. */
import type { ReactNode } from 'react';

/** `run`: at work · `good`: as it should be · `wait`: a person is needed · `bad`: failed · `rest`: nothing happens now. */
export type Tone = 'run' | 'good' | 'wait' | 'bad' | 'rest';

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
