/** One part of `npm run proof:rights`: says what it does, and returns what it measured and what does not hold. */
export interface Part {
  readonly name: string;
  prove(say: (line: string) => void): Promise<Proved>;
}

export interface Proved {
  /** Shown on the last line, under the part's name. */
  readonly figures: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
}
