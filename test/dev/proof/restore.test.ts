import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { rehearse } from '@/lib/dev/proof/restore/rehearse';
import { testRoot } from '../../support/folder';

it('after a restore to a moment before a mistake, every step of docs/BACKUP.md shows what it says', async () => {
  const folder = await mkdtemp(join(testRoot(), `lapse-test-${process.pid}-`));
  try {
    const { checks } = await rehearse({ folder: join(folder, 'restore'), letters: 1_000 });
    expect(checks.filter((check) => !check.ok)).toEqual([]);
    expect(checks.length).toBeGreaterThan(15);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 120_000);
