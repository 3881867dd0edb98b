/**
 * PostgreSQL refuses to run as root. An ordinary user needs nothing. Root gets a user namespace in which it
 * is called 1000 (keeps root's access to files, so it also works below a 0700 home, and changes nothing on
 * the host); where namespaces are forbidden (Docker's default profile), the unprivileged id 65534, which
 * must be able to reach the files.
 */
import { execFile } from 'node:child_process';
import { chown, lstat, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

export interface Identity {
  /** The command to spawn instead of `[program, ...args]`. */
  wrap(program: string, args: readonly string[]): readonly [string, string[]];
  readonly spawn: { readonly uid?: number; readonly gid?: number };
  /** Owner the data folder must have, as seen from here; undefined leaves it as it is. */
  readonly owner?: number;
}

const NAMESPACE = ['--user', '--map-user=1000', '--map-group=1000'];
/** `nobody` on every Linux. */
const UNPRIVILEGED = 65534;

const plain: Identity = { wrap: (program, args) => [program, [...args]], spawn: {} };

export async function chooseIdentity(): Promise<Identity> {
  if (process.platform === 'win32' || process.getuid?.() !== 0) return plain;
  const namespaces = await promisify(execFile)('unshare', [...NAMESPACE, 'true']).then(
    () => true,
    () => false,
  );
  return namespaces ? inNamespace : unprivileged;
}

export const inNamespace: Identity = {
  wrap: (program, args) => ['unshare', [...NAMESPACE, program, ...args]],
  spawn: {},
  owner: 0,
};

export const unprivileged: Identity = {
  wrap: (program, args) => [program, [...args]],
  spawn: { uid: UNPRIVILEGED, gid: UNPRIVILEGED },
  owner: UNPRIVILEGED,
};

/** Makes the identity the owner of `folder` and checks that it can reach what it must run. */
export async function prepareFor(
  identity: Identity,
  folder: string,
  programs: readonly string[],
): Promise<void> {
  if (identity.owner === undefined) return;
  if (identity.spawn.uid !== undefined) {
    for (const path of [folder, ...programs]) await mustBeReachable(path);
  }
  if ((await stat(folder)).uid !== identity.owner) await chownAll(folder, identity.owner);
}

async function chownAll(path: string, id: number): Promise<void> {
  await chown(path, id, id);
  if (!(await lstat(path)).isDirectory()) return;
  for (const name of await readdir(path)) await chownAll(join(path, name), id);
}

async function mustBeReachable(path: string): Promise<void> {
  for (let at = dirname(path); at !== dirname(at); at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) {
      throw new Error(
        `PostgreSQL must not run as root, user namespaces are forbidden here, and no other user may enter ${at}. ` +
          'Run as an ordinary user, move the project out of that folder, or pass the address of a PostgreSQL.',
      );
    }
  }
}
