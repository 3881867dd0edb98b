import { afterEach, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { seedBlobs } from '@/lib/example/blobs';
import { generatedPdfs } from '@/lib/example/policies/generated-pdfs';
import { renderJobs } from '@/lib/example/policies/render-jobs';
import { drainOutbox } from '@/lib/files/drain';
import type { Services } from '@/lib/services';
import { runRequest } from '../support/engine';
import { type Files, files } from '../support/files';

let f: Files;
afterEach(() => f?.stop());

const finish = async (services: Services) => {
  f.pass(5);
  return drainOutbox(services, {
    correlationId: 'test',
    deadline: new Date(f.now().getTime() + 240_000),
    dryRun: false,
  });
};

it('render jobs take their logs and temporary files along; every output is listed before and after', async () => {
  f = await files();
  const services = { ...f.services, policies: [renderJobs] };
  await f.db.sql(
    `with j as (insert into render_jobs (status, tmp_file_url, tmp_file_bytes, created_at)
       select 'done', 'tmp/' || n || '/frames.bin', 20, $1::timestamptz - make_interval(hours => n) from generate_series(1, 300) n returning id),
     l as (insert into render_job_logs (render_job_id, line) select id, 'step' from j)
     insert into render_outputs (render_job_id, file_url, file_bytes) select id, 'outputs/' || id || '.mp4', 30 from j`,
    [f.now().toISOString()],
  );
  await seedBlobs(f.db.ownerUrl, f.cloud.blob, { policies: [renderJobs], asOf: f.now() });
  const outputs = f.stored('outputs/');
  expect(outputs).toHaveLength(300);
  const result = await runPolicy(services, renderJobs, runRequest(f.now()));
  // 300 hours, 168 of them within seven days.
  expect(result).toMatchObject({
    outcome: 'succeeded',
    deleted: 132,
    dependantsDeleted: 132,
    filesQueued: 132,
    bytesFreed: 2_640,
  });
  expect(await finish(services)).toMatchObject({ outcome: 'succeeded', deleted: 132 });
  expect(f.stored('outputs/')).toEqual(outputs);
  expect(f.stored('tmp/')).toHaveLength(168);
  expect(await f.db.sql('select count(*)::int as n from render_outputs')).toEqual([{ n: 300 }]);
});

it('PDFs go by their purchase status with their files; the purchase stays', async () => {
  f = await files();
  const services = { ...f.services, policies: [generatedPdfs] };
  await f.db.sql(
    `with p as (insert into generated_pdfs (purchase_status, file_url, file_bytes, created_at)
       select s, 'pdfs/' || s || d || '.pdf', 10, $1::timestamptz - make_interval(days => d)
       from unnest(array['unpurchased', 'purchased', 'refunded']) s, unnest(array[29, 31, 179, 181, 2554, 2556]) d returning id, purchase_status)
     insert into purchases (generated_pdf_id, amount_cents, currency, paid_at) select id, 900, 'eur', $1 from p where purchase_status = 'purchased'`,
    [f.now().toISOString()],
  );
  await seedBlobs(f.db.ownerUrl, f.cloud.blob, { policies: [generatedPdfs], asOf: f.now() });
  expect(await runPolicy(services, generatedPdfs, runRequest(f.now()))).toMatchObject({
    byRule: { unpurchased: { deleted: 5 }, purchased: { deleted: 1 }, refunded: { deleted: 3 } },
  });
  expect(await finish(services)).toMatchObject({ outcome: 'succeeded', deleted: 9 });
  expect(f.stored()).toEqual(
    [
      'purchased179',
      'purchased181',
      'purchased2554',
      'purchased29',
      'purchased31',
      'refunded179',
      'refunded29',
      'refunded31',
      'unpurchased29',
    ].map((n) => `pdfs/${n}.pdf`),
  );
  expect(await f.db.sql('select count(*)::int as n from purchases')).toEqual([{ n: 6 }]);
});

it('rows that name files are not deleted while there is no store, and the setting is named', async () => {
  f = await files();
  await f.rows([{ age: 40, file: 'a.png' }]);
  const result = await runPolicy({ ...f.services, blob: undefined }, f.policy, runRequest(f.now()));
  expect(result).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 0 });
  expect(result.message).toContain('BLOB_READ_WRITE_TOKEN');
});
