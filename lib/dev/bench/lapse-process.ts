/** The process that runLapseApart in lapse.ts starts: one run, then its figures. */
import { type LapseOptions, runLapse } from './lapse';

interface Order {
  readonly env: Record<string, string>;
  readonly cutoff: string;
  readonly options: LapseOptions;
}

process.once('message', async ({ env, cutoff, options }: Order) => {
  const figures = await runLapse(env, cutoff, options);
  process.send!(figures, () => process.disconnect());
});
