/** Hands out the blocks of a table in ranges, each once, to lanes that work side by side. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export class Ranges {
  readonly #end: number;
  #next: number;
  /** Given back. */
  readonly #back: Range[] = [];
  readonly #out = new Set<Range>();

  constructor(from: number, end: number) {
    this.#next = from;
    this.#end = end;
  }

  /** Whether none is left to take. */
  get areOut(): boolean {
    return this.#back.length === 0 && this.#next >= this.#end;
  }

  /** The next range of at most so many blocks. */
  take(blocks: number): Range {
    const back = this.#back.pop();
    const rest = back ?? { from: this.#next, to: this.#end };
    const range = { from: rest.from, to: Math.min(rest.to, rest.from + blocks) };
    if (!back) this.#next = range.to;
    else if (range.to < back.to) this.#back.push({ from: range.to, to: back.to });
    this.#out.add(range);
    return range;
  }

  /** `range` is done before block `left`; what lies from there on is given out again. */
  done(range: Range, left = range.to): void {
    this.#out.delete(range);
    if (left < range.to) this.#back.push({ from: left, to: range.to });
  }

  /** The first block not known to be done: there a resumed walk begins. */
  get low(): number {
    return Math.min(this.#next, ...[...this.#out, ...this.#back].map((r) => r.from));
  }
}
