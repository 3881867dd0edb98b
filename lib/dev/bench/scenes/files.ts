/** Artifacts by tenant with their files: the run, then the outbox until the store has confirmed each. */
import { drainOutbox } from '../../../files/drain';
import type { Services } from '../../../services';
import { benchServices, runLapse } from '../lapse';
import { alternate, median } from '../rounds';
import { artifactsOf, cutoffOfArtifacts, withFiles } from './artifacts';
import { index, type Scene, type Stage } from './scene';

/** Files that the store really has, a hundred bytes each. */
const MOST_FILES = 50_000;
const AN_HOUR_MS = 3_600_000;

export const files: Scene = {
  name: 'tenantFilesPerSecond',
  target: 'beside storeAnswerMs',
  async run(stage) {
    const { deleted } = await alternate('tenantFilesPerSecond', stage.rounds, { deleted: () => once(stage) });
    const of = (figure: keyof (typeof deleted)[number]) => median(deleted.map((d) => d[figure]));
    const storeAnswerMs = of('storeAnswerMs');
    return { ratio: of('perSecond'), figures: { storeAnswerMs, rounds: deleted } };
  },
};

async function once({ rows, fresh, store }: Stage) {
  const { env, owner } = await fresh(artifactsOf(Math.min(rows, MOST_FILES), true));
  // The Blob client looks here only.
  Object.assign(process.env, { VERCEL_BLOB_API_URL: env.VERCEL_BLOB_API_URL });
  const { rows: named } = await owner.query<{ pathname: string }>(
    'select storage_key as pathname from artifacts',
  );
  const content = Buffer.alloc(100);
  await store.putMany(named.map(({ pathname }) => ({ pathname, content, uploadedAt: new Date(0) })));
  const began = performance.now();
  const run = await runLapse(env, await cutoffOfArtifacts(owner), { ...index, policy: withFiles });
  const answers: number[] = [];
  const services = timed(benchServices(env), answers);
  const deadline = new Date(services.clock().getTime() + AN_HOUR_MS);
  const drained = await drainOutbox(services, { correlationId: 'bench', deadline, dryRun: false });
  const seconds = (performance.now() - began) / 1000;
  if (drained.deleted !== run.deleted) {
    throw new Error(`${run.deleted} rows went, but ${drained.deleted} of their files: ${drained.message}`);
  }
  return {
    files: drained.deleted,
    perSecond: drained.deleted / seconds,
    rowsPerSecond: run.perSecond,
    storeAnswerMs: median(answers),
    calls: answers.length,
  };
}

/** Notes how long each deletion at the store took. */
function timed(services: Services, answers: number[]): Services {
  const blob = services.blob!;
  return {
    ...services,
    blob: {
      ...blob,
      async del(...call) {
        const began = performance.now();
        await blob.del(...call);
        answers.push(performance.now() - began);
      },
    },
  };
}
