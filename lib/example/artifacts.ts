/**
 * Artifacts for many organizations over all tiers, with what goes wrong in life: no storage key, a file that was
 * never uploaded, a file two artifacts share, further files, overrides, extensions, organizations without a
 * subscription or on an unknown plan. Derived from numbers only: the same for the same options.
 */
import { Client } from 'pg';

export interface ArtifactSeed {
  readonly artifacts: number;
  readonly organizations: number;
  readonly asOf: Date;
}

const id = (kind: string, i: string): string => `md5('${kind}' || ${i})::uuid`;
/** Nine in ten carry a random suffix as the store makes it; the others are names an application chose. */
const path = (i: string): string =>
  `'artifacts/' || (${i} % 100) || '/' || case when ${i} % 10 = 0 then 'plain-' || ${i} || '.bin' else 'a-' || substr(md5('suffix' || ${i}), 1, 30) || '.bin' end`;

/** The example tables must be empty. Runs as the owner. */
export async function seedArtifacts(ownerUrl: string, options: ArtifactSeed): Promise<void> {
  const { artifacts, organizations, asOf } = options;
  const client = new Client(ownerUrl);
  await client.connect();
  try {
    // A plan that came after the last deployment: the example's own check would not let it in.
    await client.query('alter table subscriptions drop constraint if exists subscriptions_plan_check');
    await client.query(
      `insert into organizations (id, name) select ${id('org', 'i')}, 'Organization ' || i from generate_series(1, $1::int) i`,
      [organizations],
    );
    // One in ten has none, one in ten ended it; one in a hundred is on a plan no rule knows.
    await client.query(
      `insert into subscriptions (organization_id, plan, status)
       select ${id('org', 'i')}, case when i % 100 = 7 then 'legacy' else (array['free', 'basic', 'pro', 'enterprise'])[1 + i % 4] end,
         case when i % 10 = 5 then 'canceled' else 'active' end
       from generate_series(1, $1::int) i where i % 10 <> 9`,
      [organizations],
    );
    await client.query(
      `insert into artifacts (id, organization_id, kind, storage_key, size_bytes, created_at)
       select ${id('artifact', 'i')}, ${id('org', '(1 + i % $2::int)')},
         (array['blog_content', 'social_post', 'voiceover_audio', 'storyboard_image', 'video_clip', 'video_script'])[1 + i % 6],
         -- Every hundredth shares the file of the one before; every fortieth has none.
         case when i % 40 = 3 then null when i % 100 = 51 then ${path('(i - 1)')} else ${path('i')} end,
         case when i % 40 = 3 then null when i % 100 = 51 then 10 + (i - 1) % 50 else 10 + i % 50 end,
         -- Up to 500 days, never within an hour of a cutoff.
         $3::timestamptz - make_interval(hours => 1 + 24 * (i * 7919 % 500), mins => 30)
       from generate_series(1, $1::int) i`,
      [artifacts, organizations, asOf.toISOString()],
    );
    await client.query(
      `insert into artifact_files (id, artifact_id, storage_key, size_bytes)
       select ${id('file', 'i')}, ${id('artifact', 'i')}, 'artifacts/extra/t-' || substr(md5('extra' || i), 1, 30) || '.png', 5 + i % 20
       from generate_series(10, $1::int, 10) i`,
      [artifacts],
    );
    await client.query(
      `select count(e) from generate_series(20, $1::int, 60) i cross join lateral retention.set_override('seed', 'contract',
         'artifacts', ${id('org', 'i')}::text, case when i % 3 = 0 then null else 200 * 86400 end) e`,
      [organizations],
    );
    await client.query(
      `select count(e) from generate_series(77, $1::int, 250) i cross join lateral retention.set_extension('seed', 'asked for',
         'public.artifacts', ${id('artifact', 'i')}::text, 'infinity', 0) e`,
      [artifacts],
    );
    await client.query('analyze organizations, subscriptions, artifacts, artifact_files');
  } finally {
    await client.end();
  }
}
