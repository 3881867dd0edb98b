import { NeonDbError, type NeonQueryFunction, neon, neonConfig } from '@neondatabase/serverless';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database';

let db: TestDatabase;
let sql: NeonQueryFunction<false, false>;

beforeAll(async () => {
  db = await testDatabase({ empty: true });
  neonConfig.fetchEndpoint = db.env.NEON_HTTP_ENDPOINT!;
  sql = neon(db.env.DATABASE_URL!);
  await db.sql('grant create on schema public to lapse_app');
  await db.sql('create table item (id int primary key, note text)');
  await db.sql('grant select, insert, update, delete on item to lapse_app');
});
afterAll(() => db.stop());

const failure = (query: PromiseLike<unknown>) =>
  Promise.resolve(query).then(
    () => expect.unreachable('this was to fail'),
    (error: unknown) => error as NeonDbError,
  );

/** Asks the endpoint itself, where the client would hide what is tested. */
const post = (body: string, headers: Record<string, string> = {}) =>
  fetch(db.env.NEON_HTTP_ENDPOINT!, {
    method: 'POST',
    body,
    headers: { 'Neon-Connection-String': db.env.DATABASE_URL!, ...headers },
  });

describe('values', () => {
  it('arrive as the real service sends them, whatever their type', async () => {
    const [row] = await sql`select 1::int4 as i4, 9007199254740993::int8 as i8, 1.10::numeric as n, true as b,
      'é☃'::text as t, null::text as nothing, '{"a":[1]}'::jsonb as j, array[1,2] as a, array['x"y',null] as texts,
      '\\x00ff'::bytea as bytes, '2026-01-02T03:04:05.678901Z'::timestamptz::text as at`;
    expect(row).toEqual({
      i4: 1,
      i8: '9007199254740993',
      n: '1.10',
      b: true,
      t: 'é☃',
      nothing: null,
      j: { a: [1] },
      a: [1, 2],
      texts: ['x"y', null],
      bytes: Buffer.from([0, 255]),
      at: '2026-01-02 03:04:05.678901+00',
    });
  });

  it('go in as text, arrays in PostgreSQL notation, undefined as NULL', async () => {
    const ids = [1, 2, 9_007_199_254_740_993n];
    const texts = ['a,b', 'quote " and \\', 'é', null];
    const [row] = await sql`select ${ids}::int8[] as ids, ${texts}::text[] as texts, ${undefined}::text as u,
      ${{ a: 1 }}::jsonb as j, ${true}::bool as b, ${[[1, 2], [3, 4]]}::int[] as nested`;
    expect(row).toEqual({
      ids: ['1', '2', '9007199254740993'],
      texts,
      u: null,
      j: { a: 1 },
      b: true,
      nested: [
        [1, 2],
        [3, 4],
      ],
    });
  });

  it('come with the fields of the answer, the command and the number of rows', async () => {
    const result = await sql.query('insert into item values (1, $1), (2, $1)', ['x'], { fullResults: true });
    expect(result).toMatchObject({ command: 'INSERT', rowCount: 2, rows: [] });
    const read = await sql.query('select id, note from item order by id', [], {
      fullResults: true,
      arrayMode: true,
    });
    expect(read.rows).toEqual([
      [1, 'x'],
      [2, 'x'],
    ]);
    expect(read.fields[0]).toMatchObject({
      name: 'id',
      dataTypeID: 23,
      columnID: 1,
      dataTypeSize: 4,
      format: 'text',
    });
  });

  it('are converted for a client that does not ask for raw text', async () => {
    const answer = await post(
      JSON.stringify({
        query: `select true as b, 1::int8 as i8, 'NaN'::float8 as nan, array[1,null] as a, '[1]'::jsonb as j,
          26::oid as o, array['10.0.0.1'::inet] as ips, array['a'::name] as names`,
        params: [],
      }),
    );
    expect(((await answer.json()) as { rows: unknown }).rows).toEqual([
      { b: true, i8: '1', nan: 'NaN', a: [1, null], j: [1], o: '26', ips: ['10.0.0.1'], names: ['a'] },
    ]);
  });
});

describe('errors', () => {
  it('carry every field PostgreSQL sends', async () => {
    await sql`insert into item values (10, 'x')`;
    const error = await failure(sql`insert into item values (10, 'y')`);
    expect(error).toBeInstanceOf(NeonDbError);
    expect(error).toMatchObject({
      code: '23505',
      severity: 'ERROR',
      detail: 'Key (id)=(10) already exists.',
      schema: 'public',
      table: 'item',
      constraint: 'item_pkey',
      routine: '_bt_check_unique',
    });
    expect((await failure(sql`select nothing`)).position).toBe('8');
  });

  it('answer every field PostgreSQL did not send as null', async () => {
    const answer = await post(JSON.stringify({ query: 'select nothing', params: [] }));
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({
      code: '42703',
      detail: null,
      constraint: null,
      internalQuery: null,
    });
  });

  it('refuse several statements in one string', async () => {
    expect((await failure(sql.query('select 1; select 2'))).code).toBe('42601');
  });

  it.each([
    [
      'a wrong password, with no code',
      (u: URL) => (u.password = 'wrong'),
      /^password authentication failed for user '/,
    ],
    ['no password, with no code', (u: URL) => (u.password = ''), /^missing authentication credentials/],
    [
      'a database that is not there, with HTTP 500',
      (u: URL) => (u.pathname = '/not_there'),
      /^Server error \(HTTP status 500\): .*does not exist/,
    ],
  ])('refuse %s, as the proxy does before the first statement', async (_, spoil, message) => {
    const url = new URL(db.env.DATABASE_URL!);
    spoil(url);
    const error = await failure(neon(url.href)`select 1`);
    expect(error.message).toMatch(message);
    expect(error.code).toBeUndefined();
  });

  it('refuse a COPY from or to the client at once, and leave the connection well', async () => {
    for (const copy of ['copy item from stdin', 'copy item to stdout']) {
      const error = await failure(sql.query(copy));
      expect(error.message).toBe('unexpected message from server');
      expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
    }
    const open = `select from pg_stat_activity where datname = $1 and state = 'active' and query like 'copy%'`;
    expect(await db.sql(open, [db.name])).toHaveLength(0);
  });

  it.each([
    ['no connection string', JSON.stringify({ query: 'select 1' }), { 'Neon-Connection-String': '' }],
    ['a body that is not JSON', '{', {}],
    ['a query that is not text', JSON.stringify({ query: 1 }), {}],
    ['half a character', '{"query": "select $1", "params": ["\\ud83d"]}', {}],
    [
      'an unknown isolation level',
      JSON.stringify({ queries: [] }),
      { 'Neon-Batch-Isolation-Level': 'Snapshot' },
    ],
    [
      'an isolation level that only JavaScript knows',
      JSON.stringify({ queries: [] }),
      { 'Neon-Batch-Isolation-Level': 'constructor' },
    ],
  ])('name %s', async (_, body, headers) => {
    const answer = await post(body, headers as Record<string, string>);
    expect(answer.status).toBe(400);
    expect((await answer.json()) as object).toHaveProperty('message', expect.stringMatching(/\w{5}/));
  });
});

it('leaves no connection open when the login fails', async () => {
  const url = new URL(db.env.DATABASE_URL!);
  url.password = '';
  await failure(neon(url.href)`select 1`);
  const open = `select from pg_stat_activity where backend_type = 'client backend' and (state is null or state = 'starting')`;
  // Logins of other tests end by themselves.
  await expect.poll(() => db.sql(open), { interval: 20, timeout: 10_000 }).toHaveLength(0);
});

describe('a batch', () => {
  it('runs at the isolation level asked for', async () => {
    const level = sql`select current_setting('transaction_isolation') as level`;
    for (const [isolationLevel, expected] of [
      ['ReadCommitted', 'read committed'],
      ['RepeatableRead', 'repeatable read'],
      ['Serializable', 'serializable'],
    ] as const) {
      const [rows] = await sql.transaction([level], { isolationLevel });
      expect(rows).toEqual([{ level: expected }]);
    }
  });

  it('can be read only and deferrable, and then refuses to write', async () => {
    const [rows] = await sql.transaction(
      [sql`select current_setting('transaction_deferrable') as deferrable`],
      {
        isolationLevel: 'Serializable',
        readOnly: true,
        deferrable: true,
      },
    );
    expect(rows).toEqual([{ deferrable: 'on' }]);
    const error = await failure(sql.transaction([sql`insert into item values (20)`], { readOnly: true }));
    expect(error.code).toBe('25006');
  });

  it('leaves nothing behind when one of its statements fails', async () => {
    const error = await failure(sql.transaction([sql`insert into item values (30)`, sql`select 1/0`]));
    expect(error.code).toBe('22012');
    expect(await sql`select from item where id = 30`).toHaveLength(0);
  });

  it('keeps what it sets to itself, also when it fails', async () => {
    await failure(
      sql.transaction([sql`select set_config('statement_timeout', '50ms', true)`, sql`select pg_sleep(5)`]),
    ).then((error) => expect(error.code).toBe('57014'));
    expect(await sql`select current_setting('statement_timeout') as t`).toEqual([{ t: '0' }]);
  });
});

describe('a session', () => {
  it('keeps neither settings, nor locks, nor temporary tables for the next request', async () => {
    await sql`set work_mem = '7MB'`;
    await sql`select pg_advisory_lock(77)`;
    await sql`create temporary table scratch (n int)`;
    await sql`begin`;
    expect(await sql`select current_setting('work_mem') as m`).toEqual([{ m: '4MB' }]);
    expect(await sql`select from pg_locks where locktype = 'advisory' and objid = 77`).toHaveLength(0);
    expect((await failure(sql`select from scratch`)).code).toBe('42P01');
    expect(
      await sql`select from pg_stat_activity where datname = current_database()
      and state like 'idle in transaction%'`,
    ).toHaveLength(0);
  });

  it('is opened for whoever comes when twenty are busy, until PostgreSQL has no connection left', async () => {
    const holder = await db.session();
    await holder.sql('begin');
    await holder.sql('lock table item in access exclusive mode');
    const waiting = Array.from({ length: 25 }, () => sql`select from item where id = -1`);
    const stuck = Promise.all(waiting);
    const blocked = `select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`;
    await expect.poll(() => db.sql(blocked, [db.name]), { interval: 10 }).toHaveLength(25);
    await db.sql(`alter database ${db.name} connection limit 1`);
    const refused = await failure(sql`select 1`);
    expect(refused.message).toMatch(/HTTP status 500.*too many connections/);
    await db.sql(`alter database ${db.name} connection limit -1`);
    await holder.sql('rollback');
    holder.end();
    await stuck;
    const kept = `select from pg_stat_activity where datname = $1 and usename = $2`;
    await expect
      .poll(async () => (await db.sql(kept, [db.name, new URL(db.env.DATABASE_URL!).username])).length, {
        interval: 10,
      })
      .toBeLessThanOrEqual(20);
  });

  it('of another client works at the same time: SKIP LOCKED gives it other rows', async () => {
    await sql`insert into item select n from generate_series(100, 105) n`;
    const other = await db.session();
    await other.sql('begin');
    await other.sql('select from item where id between 100 and 102 for update');
    const rows = await sql`select id from item where id >= 100 order by id limit 3 for update skip locked`;
    expect(rows).toEqual([{ id: 103 }, { id: 104 }, { id: 105 }]);
    await other.sql('rollback');
    other.end();
  });
});

describe('a client that goes away', () => {
  it('has its statement canceled and rolled back', async () => {
    const holder = await db.session();
    await holder.sql('begin');
    await holder.sql('lock table item in access exclusive mode');
    const leaving = new AbortController();
    const gone = failure(
      sql.transaction([sql`insert into item values (200)`], { fetchOptions: { signal: leaving.signal } }),
    );
    // The statement waits for the lock: now there is something to cancel.
    const waiting = `select pid from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`;
    await expect.poll(() => db.sql(waiting, [db.name]), { interval: 5 }).toHaveLength(1);
    leaving.abort();
    expect((await gone).code).toBeUndefined();
    await expect.poll(() => db.sql(waiting, [db.name]), { interval: 5 }).toHaveLength(0);
    await holder.sql('rollback');
    holder.end();
    expect(await sql`select from item where id = 200`).toHaveLength(0);
  });
});

describe('sizes', () => {
  it('above 10 MiB are refused as a request, and the connection goes on working', async () => {
    const error = await failure(sql`select ${'x'.repeat(10 * 1024 * 1024)}::text`);
    expect(error.message).toContain('HTTP status 413');
    expect(error.message).toContain('request is too large (max is 10485760 bytes)');
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  });

  it('above 10 MiB are stopped as an answer, without reading the rest', async () => {
    const error = await failure(sql`select repeat('x', 1000) from generate_series(1, 10000000)`); // 10 GB
    expect(error.message).toContain('HTTP status 507');
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
    const left = `select from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()
      and state = 'active'`;
    await expect.poll(() => db.sql(left, [db.name]), { interval: 5 }).toHaveLength(0);
  });

  it('of an answer are counted as the JSON that travels', async () => {
    const error = await failure(sql`select repeat('"', 6000000)`);
    expect(error.message).toContain('HTTP status 507');
  });

  it('below 10 MiB pass both ways', async () => {
    const [row] = await sql`select ${'x'.repeat(4 * 1024 * 1024)}::text as big`;
    expect((row as { big: string }).big).toHaveLength(4 * 1024 * 1024);
  });
});

describe('another server than its own', () => {
  const at = (change: (url: URL) => void) => {
    const url = new URL(db.env.DATABASE_URL!);
    change(url);
    return url.href;
  };

  it.each([
    ['host', (url: URL) => (url.hostname = 'db.example.com')],
    ['port', (url: URL) => (url.port = '5999')],
  ])('is refused, and both are named, when the %s differs', async (_, change) => {
    const error = await failure(neon(at(change))`select 1`);
    expect(error.message).toContain(new URL(at(change)).hostname);
    expect(error.message).toMatch(/serves the PostgreSQL at .* only/);
    expect(error.code).toBe('28000');
  });

  it('is not this machine under its other name', async () => {
    const local = new URL(db.env.DATABASE_URL!).hostname === '127.0.0.1';
    if (!local) return;
    expect(await neon(at((url) => (url.hostname = 'localhost')))`select 1 as one`).toEqual([{ one: 1 }]);
  });
});
