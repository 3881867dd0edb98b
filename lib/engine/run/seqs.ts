/**
 * The batch numbers of one run, dense from 1: a number whose batch deleted nothing wrote no receipt and is
 * given out again. Lanes share one.
 */
export class Sequence {
  readonly #free: number[] = [];
  #last = 0;

  take(): number {
    return this.#free.shift() ?? ++this.#last;
  }

  /** Only when it is known that no receipt has this number. */
  giveBack(seq: number): void {
    this.#free.push(seq);
    this.#free.sort((a, b) => a - b);
  }
}
