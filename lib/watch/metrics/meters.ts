/** The metrics of one scrape: an instance has no memory, so each scrape has a registry of its own. */
import { Counter, Gauge, Registry } from 'prom-client';

export class Meters {
  readonly #registry = new Registry();

  counter<L extends string>(name: string, help: string, labelNames: L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  gauge<L extends string>(name: string, help: string, labelNames: L[] = []): Gauge<L> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
