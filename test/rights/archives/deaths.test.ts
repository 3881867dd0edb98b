/** A process that dies at any call to the store leaves no wrong archive: what the next run deletes is archived, and comes back. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { validateArchive } from '@/lib/files/archive/validate';
import { keepArchives } from '@/lib/rights/archives/upkeep';
import { restoreArchived } from '@/lib/rights/restore/restore';
import { type Archived, archivedFiles } from '../../support/archived';
import { suffixed } from '../../support/files';

let e: Archived;
beforeEach(async () => {
  e = await archivedFiles();
  await e.db.sql('grant select, insert on pictures, notes to lapse_operator');
});
afterEach(() => e?.stop());

// Two nights for each call to the store.
it.each([
  ['before it is done', 'drop-before'],
  ['when it is done and its answer is lost', 'drop-after'],
] as const)(
  '%s',
  async (_, kind) => {
    await e.upload(suffixed(1), suffixed(2));
    const [first] = await e.rows([1, 2].map((n) => ({ age: 40, file: suffixed(n), org: null as never })));
    await e.db.sql(`insert into notes (picture, words) values ($1, 'a'), ($1, 'b')`, [first]);
    const before = await e.all();
    const services = {
      ...e.services,
      backoff: { retries: 1, minTimeout: 1, maxTimeout: 1, factor: 1, randomize: false },
    };
    let deaths = 0;
    for (let at = 1; ; at += 1) {
      let calls = 0;
      e.cloud.setFaults(({ service }) => {
        if (service !== 'blob') return undefined;
        calls += 1;
        return calls < at ? undefined : { kind: calls === at ? kind : 'drop-before' };
      });
      Object.assign(e.services, services);
      await e.runNow(e.policy, { batchSize: 1 });
      e.cloud.setFaults(undefined);
      const taken = await e.runNow(e.policy, { batchSize: 1 });
      expect(taken, `call ${at}`).toMatchObject({ outcome: 'succeeded' });
      const kept = await e.db.sql<{ prefix: string; sha: string; fits: boolean; run: string }>(
        `select a.prefix, a.manifest_sha256 as sha, a.keys = retention.keys_of(c) as fits, a.run from retention.receipt c
       join retention.archive a on a.id = c.archive where a.state = 'kept' order by a.created_at desc, a.seq desc`,
      );
      expect(kept.every((a) => a.fits)).toBe(true);
      for (const { prefix, sha } of kept) await validateArchive(e.store, prefix, sha);
      e.pass(3_700);
      await e.drain();
      for (const run of new Set(kept.map((a) => a.run))) {
        const order = {
          scope: 'run' as const,
          subject: run,
          policy: null,
          reason: 'back',
          keepDays: 1,
          dryRun: false,
        };
        const deadline = new Date(e.now().getTime() + 240_000);
        expect(await restoreArchived(e.services, { ...order, actor: 'anna', deadline })).toMatchObject({
          outcome: 'succeeded',
          problems: [],
        });
      }
      expect(await e.all(), `call ${at}`).toEqual(before);
      expect(e.stored('pictures/')).toHaveLength(2);
      // The next death begins as this one did.
      await e.db.sql(`truncate retention.extension;
      update retention.archive set created_at = created_at - interval '2 hours', expires_at = now() where state in ('open', 'kept')`);
      await keepArchives(e.services, () => true);
      e.pass(3_700);
      await e.drain();
      expect(e.stored('archives/'), `call ${at}`).toEqual([]);
      if (calls < at) break;
      deaths += 1;
    }
    expect(deaths).toBeGreaterThan(15);
  },
  300_000,
);
