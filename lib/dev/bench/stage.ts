/** The databases of the bench: a seeded one, others made from it, and a fresh copy for each measurement. */
import { Client } from 'pg';
import { seed } from '../../example/seed';
import type { LocalCloud } from '../local-cloud';
import { migrate } from '../migrate';
import type { Copy, Template } from './scenes/scene';

const PREFIX = 'lapse_bench';
const COPY = PREFIX;
const SEEDED: Template = { name: 'template', table: 'quiz_responses', make: async () => {} };
const nameOf = (template: Template): string => `${PREFIX}_${template.name}`;

export class Databases {
  readonly #made = new Set<string>();
  #last: Client | null = null;

  constructor(private readonly cloud: LocalCloud) {}

  /** Makes the one that all others come from. */
  async seed(rows: number, asOf: Date): Promise<void> {
    const url = await this.#empty(nameOf(SEEDED));
    await migrate(url, { sets: ['retention', 'example'], direction: 'up' });
    await seed(url, { rows, asOf });
    this.#made.add(SEEDED.name);
  }

  /** A fresh copy with a warm cache; the previous one is dropped. */
  async fresh(from: Template = SEEDED): Promise<Copy> {
    await this.#last?.end();
    if (!this.#made.has(from.name)) await this.#make(from);
    const owner = await connect(await this.#empty(COPY, nameOf(from)));
    this.#last = owner;
    await owner.query(`vacuum analyze ${from.table}`);
    await owner.query('checkpoint');
    await owner.query(`select count(*) from ${from.table}`);
    return { owner, url: this.cloud.ownerUrl(COPY), env: this.cloud.env(COPY) };
  }

  async #make(template: Template): Promise<void> {
    const owner = await connect(await this.#empty(nameOf(template), nameOf(SEEDED)));
    await template.make(owner);
    // A table is not read by the statistics of the one it was copied from.
    await owner.query('vacuum analyze');
    await owner.end();
    this.#made.add(template.name);
  }

  async #empty(name: string, from?: string): Promise<string> {
    await this.cloud.dropDatabase(name);
    await this.cloud.createDatabase(name, from);
    return this.cloud.ownerUrl(name);
  }
}

async function connect(url: string): Promise<Client> {
  const owner = new Client(url);
  await owner.connect();
  // Dropping the copy ends what is still connected.
  owner.on('error', () => {});
  return owner;
}
