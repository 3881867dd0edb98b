/** Chance that can be repeated: the same seed and number of a schema, the same rolls (mulberry32). */
export class Rolls {
  #state: number;

  constructor(seed: number, schema: number) {
    this.#state = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(schema + 1, 0x85ebca6b)) >>> 0;
  }

  /** 0 to below `n`. */
  upTo(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  }

  chance(percent: number): boolean {
    return this.upTo(100) < percent;
  }

  of<T>(among: readonly T[]): T {
    const one = among[this.upTo(among.length)];
    if (one === undefined) throw new RangeError('nothing to choose from');
    return one;
  }

  shuffled<T>(all: readonly T[]): T[] {
    const left = [...all];
    return all.map(() => left.splice(this.upTo(left.length), 1)[0]!);
  }

  hex(digits: number): string {
    return Array.from({ length: digits }, () => this.upTo(16).toString(16)).join('');
  }
}
