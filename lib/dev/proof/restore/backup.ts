/**
 * A PostgreSQL that can be brought back to any moment: its log is archived as it is written, and a copy of its folder, taken
 * while it runs, is where a restoration begins. It is what a provider's point-in-time restore does, with the programs of the
 * embedded server alone.
 */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { Client } from 'pg';
import { chooseIdentity, prepareFor } from '../../local-cloud/postgres/identity';
import { type RunningPostgres, startPostgres } from '../../local-cloud/postgres/start';

export interface Server {
  readonly running: RunningPostgres;
  /** Owner's address of a database in it. */
  url(database: string): string;
}

const OWNER = 'postgres';
/** As a value of postgresql.conf, run by a shell. */
const command = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** `folder` holds everything of the rehearsal. */
export class Backups {
  readonly #folder: string;
  readonly #archive: string;
  readonly #password: string;

  constructor(folder: string, password: string) {
    this.#folder = folder;
    this.#archive = join(folder, 'archive');
    this.#password = password;
  }

  async startArchived(): Promise<Server> {
    await mkdir(this.#archive, { recursive: true });
    await prepareFor(await chooseIdentity(), this.#archive, []);
    return this.#start('lost', {
      wal_level: 'replica',
      archive_mode: 'on',
      archive_command: command(`test ! -f "${this.#archive}/%f" && cp "%p" "${this.#archive}/%f"`),
    });
  }

  /** Copies the folder of a running server; changes made while copying are in the log. */
  async takeBase(server: Server): Promise<void> {
    const client = new Client({ connectionString: server.url('postgres') });
    await client.connect();
    try {
      const { rows } = await client.query<{ renamed: boolean }>(
        `select current_setting('server_version_num')::int >= 150000 as renamed`,
      );
      const isRenamed = rows[0]?.renamed;
      await client.query(
        isRenamed ? `select pg_backup_start('base', true)` : `select pg_start_backup('base', true, false)`,
      );
      const from = join(this.#folder, 'lost', 'data');
      const to = join(this.#folder, 'restored', 'data');
      await cp(from, to, { recursive: true, filter: (file) => isOfBackup(relative(from, file)) });
      const stopped = await client.query<{ labelfile: string }>(
        isRenamed ? 'select labelfile from pg_backup_stop()' : 'select labelfile from pg_stop_backup(false)',
      );
      await writeFile(join(to, 'backup_label'), stopped.rows[0]?.labelfile ?? '', { mode: 0o600 });
    } finally {
      await client.end();
    }
  }

  /** Starts the copy, replays the archived log up to the named point, and leaves it as a server of its own. */
  async restoreTo(point: string): Promise<Server> {
    const data = join(this.#folder, 'restored', 'data');
    await writeFile(join(data, 'recovery.signal'), '', { mode: 0o600 });
    // The copy is made by this process: the server's own identity is given all of it when it starts.
    return this.#start('restored', {
      restore_command: command(`cp "${this.#archive}/%f" "%p"`),
      recovery_target_name: command(point),
      recovery_target_action: 'promote',
      // No one is admitted before it is a server of its own.
      hot_standby: 'off',
    });
  }

  async #start(name: string, settings: Readonly<Record<string, string>>): Promise<Server> {
    const running = await startPostgres({
      folder: join(this.#folder, name),
      user: OWNER,
      password: this.#password,
      durable: true,
      settings,
    });
    return {
      running,
      url: (database) =>
        `postgresql://${OWNER}:${this.#password}@${running.host}:${running.port}/${database}`,
    };
  }
}

/** The process that runs, and its log, which comes from the archive, are no part of a backup. */
const isOfBackup = (file: string): boolean =>
  file !== 'postmaster.pid' && file !== 'postmaster.opts' && !/^pg_wal\/./.test(file);
