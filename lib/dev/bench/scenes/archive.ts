/** Archived into the store and read back before it is deleted, beside the same rows deleted plainly, and beside `COPY` and one `DELETE`. */
import { quizResponses } from '../../../example/policies/quiz-responses';
import { days, type Policy } from '../../../policies/contract';
import { runLapse } from '../lapse';
import { alternate, median } from '../rounds';
import { byOneDelete } from '../ways';
import { cutoffFor, index, type Scene } from './scene';

const archiving: Policy = {
  ...quizResponses,
  strategy: { kind: 'archive', keepFor: days(365), files: 'none', rewriteAt: 0 },
};
/** Of the rows of the table: a fifth, so that the scene takes no longer than others. */
const SHARE = 0.2;

export const archive: Scene = {
  name: 'archiveVsPlain',
  only: 'archive',
  leastRows: 50_000,
  target: 'beside archiveVsCopy',
  async run({ rows, rounds, fresh }) {
    const most = Math.floor(rows * SHARE);
    const seen = await alternate('archiveVsPlain', rounds, {
      async archived() {
        const { env, owner } = await fresh();
        // The Blob client looks here only.
        Object.assign(process.env, { VERCEL_BLOB_API_URL: env.VERCEL_BLOB_API_URL });
        const run = await runLapse(env, await cutoffFor(owner, most), { ...index, policy: archiving });
        const { rows: kept } = await owner.query<{ rows: number; bytes: number }>(
          `select sum(rows)::float8 as rows, sum(bytes)::float8 as bytes from retention.archive where state = 'kept'`,
        );
        if (kept[0]!.rows !== run.deleted)
          throw new Error(`${run.deleted} rows went, ${kept[0]!.rows} of them are archived`);
        return {
          deleted: run.deleted,
          perSecond: run.perSecond,
          batches: run.batches,
          bytes: kept[0]!.bytes,
        };
      },
      async plain() {
        const { env, owner } = await fresh();
        const { deleted, perSecond } = await runLapse(env, await cutoffFor(owner, most), index);
        return { deleted, perSecond };
      },
      async copied() {
        const { owner } = await fresh();
        const cutoff = await cutoffFor(owner, most);
        const began = performance.now();
        await owner.query(
          `copy (select * from quiz_responses where completed_at < '${cutoff}' and completed_at > '-infinity') to program 'gzip > /dev/null'`,
        );
        const { gone } = await byOneDelete(owner, cutoff);
        return { deleted: gone, perSecond: gone / ((performance.now() - began) / 1000) };
      },
    });
    const [archived, plain, copied] = [seen.archived, seen.plain, seen.copied].map((all) =>
      median(all.map((f) => f.perSecond)),
    );
    return {
      ratio: archived! / plain!,
      figures: {
        rowsPerSecond: { archived, plain, copied },
        archiveVsCopy: archived! / copied!,
        ...seen,
      },
    };
  },
};
