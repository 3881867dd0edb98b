/** What is no table that rows can be deleted from, or cannot be reached, is refused by name. */
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { checkInWords, checkPolicies } from '@/lib/engine/statement/check';
import { days } from '@/lib/policies/contract';
import {
  DAY,
  type Engine,
  engine,
  fitsDatabase,
  govern,
  NOW,
  runRequest,
  things,
  thingsPolicy,
} from '../../support/engine';
import { partitioned, visitsPolicy } from '../../support/partitioned';
import { follow, refused } from '../../support/preflight';

const USAGE = 'GRANT USAGE ON SCHEMA "hidden" TO lapse_app;';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

describe('a policy', () => {
  it('cannot govern a view, nor a partitioned table without saying so', async () => {
    await govern(e.db);
    await e.db.sql('create view some_things as select * from things');
    const said = await refused(e, thingsPolicy({ table: { name: 'some_things' } }));
    expect(said).toContain('is not a plain table (relkind v)');
    expect(said).toContain('name a plain table, or one that is partitioned');
  });

  it('cannot take along what is a view', async () => {
    await govern(e.db);
    await e.db.sql('create view notes as select id, id as thing from things');
    const note = {
      table: { name: 'notes' },
      key: [{ column: 'id', type: 'uuid' }],
      references: ['thing'],
      fate: 'delete' as const,
    };
    expect(await refused(e, thingsPolicy({ dependants: [note] }))).toContain('is not a table (relkind v)');
  });

  it('needs the right to use the schema, and the statement it prints gives it', async () => {
    await e.db.sql(`create schema hidden; create table hidden.things (id uuid primary key, at timestamptz, org uuid, person uuid);
      create index on hidden.things (at, id)`);
    const policy = thingsPolicy({ table: { schema: 'hidden', name: 'things' } });
    expect((await fitsDatabase(e, policy)).map((p) => p.remedy)).toContain(USAGE);
    await e.db.sql(`select retention.protect('hidden.things')`);
    expect(await follow(e, policy)).toEqual([]);
  });

  it.each(['run', 'dry run'])(
    'in a schema that the app may not use: the %s says which grant is missing',
    async (kind) => {
      await e.db.sql(`create schema hidden; create table hidden.things (id uuid primary key, at timestamptz, org uuid, person uuid);
      create index on hidden.things (at, id); grant select, update, delete on hidden.things to lapse_app`);
      const policy = thingsPolicy({ table: { schema: 'hidden', name: 'things' } });
      const result = await e.run(policy, { dryRun: kind === 'dry run' });
      expect(result).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 0 });
      expect(result.message.split('GRANT ')).toHaveLength(2);
      expect(result.message).toContain(USAGE);
    },
  );

  it('partitioned, in a schema that the app may not use, is told the grant by its dry run as well', async () => {
    const policy = await partitioned(e.db);
    await e.db.sql('create schema hidden; alter table visits set schema hidden');
    const moved = { ...policy, table: { schema: 'hidden', name: 'visits' } };
    for (const dryRun of [true, false]) {
      const result = await runPolicy(e.services, moved, runRequest(NOW, { dryRun }));
      expect(result).toMatchObject({ outcome: 'errored', reason: 'preflight' });
      expect(result.message).toContain(USAGE);
    }
  });

  it.each(['run', 'dry run'])(
    'with a dependant in such a schema: the %s says which grants are missing',
    async (kind) => {
      await govern(e.db);
      await things(e.db, [40 * DAY]);
      await e.db.sql(`create schema hidden; create table hidden.notes (id int primary key, thing uuid references things on delete cascade);
      create index on hidden.notes (thing)`);
      const note = {
        table: { schema: 'hidden', name: 'notes' },
        key: [{ column: 'id', type: 'integer' }],
        references: ['thing'],
        fate: 'delete' as const,
      };
      const policy = thingsPolicy({ dependants: [note] });
      const result = await e.run(policy, { dryRun: kind === 'dry run' });
      expect(result).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 0 });
      expect(result.message).toContain(USAGE);
      expect(result.message).toContain('GRANT SELECT, DELETE ON "hidden"."notes" TO lapse_app;');
      expect(result.message).not.toContain('references');
      expect(await follow(e, policy)).toEqual([]);
      expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    },
  );

  it.each(['run', 'dry run'])(
    'with its tenants in such a schema: the %s says which grants are missing',
    async (kind) => {
      await govern(e.db);
      await e.db.sql(`create index on things (org, at, id);
      create schema hidden; create table hidden.orgs (id uuid primary key, plan text)`);
      const tenants = {
        table: { schema: 'hidden', name: 'orgs' },
        key: { column: 'id', type: 'uuid' },
        column: 'org',
        label: 'o.plan',
      };
      const policy = thingsPolicy({ tenants, rules: [{ label: 'free', keepFor: days(30) }] });
      const result = await e.run(policy, { dryRun: kind === 'dry run' });
      expect(result).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 0 });
      expect(result.message).toContain(USAGE);
      expect(result.message).toContain('GRANT SELECT ON "hidden"."orgs" TO lapse_app;');
    },
  );

  it('whose condition asks a table in such a schema is told the grant of the schema', async () => {
    const policy = await govern(e.db, {
      where: 'not exists (select from hidden.pins p where p.thing = t.id)',
    });
    await e.db.sql('create schema hidden; create table hidden.pins (thing uuid)');
    expect(await refused(e, policy)).toContain(USAGE);
  });

  it('that names files is told the rights and the index that are missing in one go', async () => {
    await govern(e.db);
    await e.db.sql('create schema hidden; create table hidden.albums (cover text)');
    await e.db.sql('create index on things (retention.blob_path(note))');
    const cover = { table: { schema: 'hidden', name: 'albums' }, column: 'cover' };
    const file = { column: 'note', fate: 'delete' as const, prefix: 'things/', suffixed: true };
    const policy = thingsPolicy({ files: [{ ...file, sharedWith: [cover] }] });
    const said = await refused(e, policy);
    expect(said).toContain(USAGE);
    expect(said).toContain('GRANT SELECT ON "hidden"."albums" TO lapse_app;');
    expect(said).toContain('CREATE INDEX CONCURRENTLY ON "hidden"."albums" (retention.blob_path("cover"));');
    expect(await follow(e, policy)).toEqual([]);
  });

  it('needs the table of its tenants', async () => {
    await govern(e.db);
    const tenants = {
      table: { name: 'nobody' },
      key: { column: 'id', type: 'uuid' },
      column: 'org',
      label: "'free'",
    };
    const rules = [{ label: 'free', keepFor: days(30) }];
    expect(await refused(e, thingsPolicy({ tenants, rules }))).toContain(
      'tenants.table public.nobody does not exist',
    );
  });
});

describe('a table of partitions', () => {
  it('by another column than the clock is refused', async () => {
    await e.db.sql(`create table calls (id uuid, at timestamptz, org uuid, person uuid, file text, primary key (id, at)) partition by range (id);
      grant select, update, delete on calls to lapse_app`);
    expect(await refused(e, visitsPolicy({ table: { name: 'calls' } }))).toContain(
      'is not partitioned by range of its clock at alone, but by (id)',
    );
  });

  it('with a table that lies elsewhere is refused', async () => {
    await e.db.sql(`create table calls (id uuid, at timestamptz, org uuid, person uuid, file text) partition by range (at);
      grant select, update, delete on calls to lapse_app;
      create foreign data wrapper elsewhere; create server far foreign data wrapper elsewhere;
      create foreign table calls_far partition of calls for values from ('2031-01-01') to ('2031-02-01') server far`);
    expect(await refused(e, visitsPolicy({ table: { name: 'calls' } }))).toContain(
      'calls_far is not a plain table',
    );
  });
});

describe('npm run policy:check', () => {
  const asked = async <T>(work: (client: Client) => Promise<T>): Promise<T> => {
    const client = new Client({ connectionString: e.db.ownerUrl });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  };

  it('tells what each policy lacks, and judges the others where the catalog of one cannot be read', async () => {
    const good = await govern(e.db);
    const wrong = thingsPolicy({ name: 'wrong', where: 't.at::no_such_type is null' });
    const check = await asked((client) => checkPolicies(client, [wrong, good], []));
    expect(check.role).toBe('lapse_app');
    expect(check.policies.find((p) => p.policy === 'things')?.problems).toEqual([]);
    expect(check.policies.find((p) => p.policy === 'wrong')?.problems).not.toEqual([]);
    expect(checkInWords(check)).toContain('things: fits');
  });

  it('says under which role rights were looked at, where it may not act as the app', async () => {
    const policy = await govern(e.db);
    const login = `reads_${randomUUID().slice(0, 8)}`;
    await e.db.sql(`create role ${login} login password 'of-a-test'; grant usage on schema retention to ${login};
      grant select on all tables in schema retention to ${login}`);
    const url = new URL(e.db.ownerUrl);
    [url.username, url.password] = [login, 'of-a-test'];
    const client = new Client({ connectionString: url.href });
    await client.connect();
    try {
      const check = await checkPolicies(client, [policy], []);
      expect(check.role).toBe(login);
      expect(checkInWords(check)).toContain(`rights were looked at as ${login}`);
    } finally {
      await client.end();
      await e.db.sql(`drop owned by ${login}; drop role ${login}`);
    }
  });
});

it('partitions that Lapse could not drop, because another role owns them, are refused', async () => {
  const policy = await partitioned(e.db);
  const owner = `owns_${randomUUID().slice(0, 8)}`;
  const giveTo = (role: string) => `do $$ begin
    execute format('alter function %s owner to %I', (select p.oid::regprocedure from pg_proc p
      where p.pronamespace = 'retention'::regnamespace and p.proname = 'drop_partition'), '${role}'); end $$`;
  const [was] = await e.db.sql<{ name: string }>('select current_user as name');
  await e.db.sql(
    `create role ${owner}; grant create, usage on schema retention to ${owner}; ${giveTo(owner)}`,
  );
  try {
    expect(await refused(e, policy)).toContain("belong to another role than Lapse's own schema");
  } finally {
    await e.db.sql(`${giveTo(was!.name)}; drop owned by ${owner}; drop role ${owner}`);
  }
});
