/** What people wrote may hold a word of hundreds of letters: it is broken where it must be, so that no table grows wider than its page. */
import type { ReactNode } from 'react';

/** Longer than an id: what is as long as one stays whole. */
const LONG = /\S{40}/u;
const PIECE = /(\S{20})/u;

/** Its letters as they are, for reading and for copying. */
export function breakable(text: string): ReactNode {
  if (!LONG.test(text)) return text;
  return text.split(PIECE).flatMap((piece, i) => [
    piece,
    // biome-ignore lint/suspicious/noArrayIndexKey: the pieces never move
    <wbr key={i} />,
  ]);
}
