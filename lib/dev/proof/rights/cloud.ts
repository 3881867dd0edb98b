/** A Lapse on a local cloud of its own for a part of the proof: the example's tables, its rows, and a clock that is moved by hand. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { seed } from '../../../example/seed';
import { createServices, type Services } from '../../../services';
import { type LocalCloud, startLocalCloud } from '../../local-cloud';
import { migrate } from '../../migrate';

export interface ProofCloud {
  readonly cloud: LocalCloud;
  readonly services: Services;
  /** As the owner of the tables, past everything Lapse guards. */
  readonly owner: Client;
  /** Moves the clock of `services`. */
  pass(seconds: number): void;
  stored(prefix?: string): string[];
  end(): Promise<void>;
}

/** `rows`: of the seed's largest table; none unless given. `env`: further settings. */
export async function proofCloud(
  options: { readonly rows?: number; readonly env?: Record<string, string> } = {},
): Promise<ProofCloud> {
  const folder = await mkdtemp(join(tmpdir(), 'lapse-rights-'));
  const cloud = await startLocalCloud({ folder, durable: false, contents: 'memory', handleSignals: false });
  const database = 'proof';
  await cloud.createDatabase(database);
  const ownerUrl = cloud.ownerUrl(database);
  await migrate(ownerUrl, { sets: ['retention', 'example'], direction: 'up' });
  if (options.rows) await seed(ownerUrl, { rows: options.rows, asOf: new Date() });
  const env = cloud.env(database);
  Object.assign(process.env, { VERCEL_BLOB_API_URL: env.VERCEL_BLOB_API_URL });
  let ahead = 0;
  const services: Services = {
    ...createServices({
      ...env,
      CRON_SECRET: randomBytes(24).toString('hex'),
      VERCEL_ENV: 'production',
      LOG_LEVEL: 'silent',
      LAPSE_NAMESPACE: `proof-${randomUUID()}`,
      LAPSE_RIGHTS_KEY: randomBytes(32).toString('hex'),
      ...options.env,
    }),
    clock: () => new Date(Date.now() + ahead),
  };
  const owner = new Client(ownerUrl);
  await owner.connect();
  return {
    cloud,
    services,
    owner,
    pass: (seconds) => {
      ahead += seconds * 1000;
    },
    stored: (prefix) => [...cloud.blob.all(prefix)].map((b) => b.pathname),
    end: async () => {
      await owner.end();
      await cloud.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
