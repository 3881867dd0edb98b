/** A copy of the project in another folder, in which files may be written and removed; the project itself is not touched. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, realpathSync, symlinkSync } from 'node:fs';
import path from 'node:path';

/** What is made, or holds secrets, and what is copied in a way of its own. */
const LEFT_OUT = /^(node_modules|\.next|\.lapse|\.git|coverage|\.env(\.local)?)$/;

/** `linked`: node_modules is a link, which the build of the app does not take; else hard links, where the disk is the same. */
export function copyProject(to: string, options: { linked?: boolean } = {}): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync('.')) {
    if (!LEFT_OUT.test(entry)) cpSync(entry, path.join(to, entry), { recursive: true });
  }
  const from = realpathSync('node_modules');
  const there = path.join(to, 'node_modules');
  if (options.linked) {
    symlinkSync(from, there, 'dir');
    return;
  }
  if (spawnSync('cp', ['-al', from, there]).status !== 0)
    cpSync(from, there, { recursive: true, verbatimSymlinks: true });
}
