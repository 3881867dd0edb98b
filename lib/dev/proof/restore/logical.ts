/**
 * A restored dump: rights of the database itself are no part of one. With pg_dump and pg_restore where this machine has them for
 * the server's version, else as a copy by template, which leaves the same rights out.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { verify } from '../../../operators/audit/verify';
import { connect } from '../../../platform/database';
import { createDatabase } from '../../local-cloud/roles';
import type { Server } from './backup';
import type { Checks } from './checks';
import { DATABASE, type Lapse } from './letters';

const COPY = 'restored_dump';
const run = promisify(execFile);

/** Returns how the copy was made. */
export async function copyLogically(server: Server, lapse: Lapse, checks: Checks): Promise<string> {
  const how =
    (await dumpVersion()) === (await serverVersion(server)) ? 'pg_dump and pg_restore' : 'a copy by template';
  if (how === 'a copy by template') await copyByTemplate(server);
  else await dumpAndRestore(server);
  const client = new Client({ connectionString: server.url(COPY) });
  await client.connect();
  try {
    const everyone = async () =>
      (
        await client.query(`select exists (select from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
        where d.datname = current_database() and a.grantee = 0 and a.privilege_type = 'TEMPORARY') as may`)
      ).rows[0]?.may;
    checks.see('after a dump everyone may create temporary tables again', true, await everyone());
    await client.query('select retention.take_rights()');
    checks.see('retention.take_rights() takes that back', false, await everyone());
    const { settings } = lapse.services;
    const copied = connect(
      settings.databaseUrl.replace(`/${DATABASE}`, `/${COPY}`),
      settings.neonHttpEndpoint,
    );
    checks.see('the audit chain of the copy is whole', [], (await verify(copied)).problems);
  } finally {
    await client.end();
  }
  return how;
}

async function dumpAndRestore(server: Server): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'lapse-dump-'));
  try {
    const file = join(folder, 'dump');
    await run('pg_dump', ['--format=custom', `--file=${file}`, server.url(DATABASE)]);
    await createDatabase(server.url('postgres'), COPY);
    await run('pg_restore', ['--exit-on-error', `--dbname=${server.url(COPY)}`, file]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The database that is copied must have no sessions. */
async function copyByTemplate(server: Server): Promise<void> {
  const client = new Client({ connectionString: server.url('postgres') });
  await client.connect();
  try {
    await client.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = $1`, [
      DATABASE,
    ]);
  } finally {
    await client.end();
  }
  await createDatabase(server.url('postgres'), COPY, DATABASE);
}

/** 0 where it is not installed. An older one refuses a newer server, a newer one writes what an older server does not know. */
async function dumpVersion(): Promise<number> {
  const said = await run('pg_dump', ['--version']).catch(() => ({ stdout: '' }));
  return Number(/\) (\d+)/.exec(said.stdout)?.[1] ?? 0);
}

async function serverVersion(server: Server): Promise<number> {
  const client = new Client({ connectionString: server.url('postgres') });
  await client.connect();
  try {
    const { rows } = await client.query(`select current_setting('server_version_num')::int / 10000 as major`);
    return Number(rows[0]?.major);
  } finally {
    await client.end();
  }
}
