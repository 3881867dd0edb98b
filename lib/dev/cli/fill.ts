/** What `npm run local` and `npm run dev` make of a new database: the example's tables and rows, while there is an example. */
import { seed } from '../../example/seed';
import type { MigrationSet } from '../migrate';

export const SETS: readonly MigrationSet[] = ['retention', 'example'];

export const fill: ((ownerUrl: string) => Promise<unknown>) | undefined = (ownerUrl) =>
  seed(ownerUrl, { rows: 10_000, asOf: new Date() });
