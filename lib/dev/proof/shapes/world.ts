/** A local cloud with a migrated template, and a database of its own for each schema: a copy of it. */
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import type { Policy } from '../../../policies/contract';
import { createServices, type Services } from '../../../services';
import type { LocalCloud } from '../../local-cloud';
import { migrate } from '../../migrate';
import { MASK_KEY } from './masks';
import { NOW } from './times';

export interface Place {
  /** As the owner of the tables. */
  readonly owner: Client;
  readonly ownerUrl: string;
  /** A second session of the owner's. */
  another(): Promise<Client>;
  services(...policies: readonly Policy[]): Services;
  end(): Promise<void>;
}

export interface World {
  place(): Promise<Place>;
  end(): Promise<void>;
}

/** `env`: further settings. */
export async function world(cloud: LocalCloud, env: Readonly<Record<string, string>> = {}): Promise<World> {
  const template = `shapes_${randomUUID().replaceAll('-', '')}`;
  await cloud.createDatabase(template);
  await migrate(cloud.ownerUrl(template), { sets: ['retention'], direction: 'up' });
  let made = 0;
  return {
    place: () => {
      made += 1;
      return placeOf(cloud, `${template.slice(0, 40)}_${made}`, template, env);
    },
    end: () => cloud.dropDatabase(template),
  };
}

/** How a trial in this place ended, also where something threw; the place is left. */
export async function tried<T>(
  place: Place,
  trial: { run(): Promise<T>; ended(problems: readonly string[]): T },
): Promise<T> {
  try {
    return await trial.run();
  } catch (error) {
    return trial.ended([
      `stopped: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    ]);
  } finally {
    await place.end();
  }
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  // Dropping the database may end the session before the client has heard of its own goodbye.
  client.on('error', () => undefined);
  // Values are compared as text.
  await client.query(`set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'`);
  return client;
}

async function placeOf(
  cloud: LocalCloud,
  name: string,
  template: string,
  more: Readonly<Record<string, string>>,
): Promise<Place> {
  await cloud.createDatabase(name, template);
  const clients = [await connect(cloud.ownerUrl(name))];
  const env = cloud.env(name);
  // The Blob client reads its address from nowhere else.
  Object.assign(process.env, { VERCEL_BLOB_API_URL: env.VERCEL_BLOB_API_URL, VERCEL_BLOB_RETRIES: '1' });
  const made = createServices({
    ...env,
    CRON_SECRET: 'a-secret-of-this-proof',
    VERCEL_ENV: 'production',
    LOG_LEVEL: 'silent',
    // The guard rails have proofs of their own; this one is about what happens once they let go.
    LAPSE_MASS_DELETION_GUARD: 'off',
    LAPSE_PROGRESSIVE_ROLLOUT: 'off',
    LAPSE_COOLING_OFF_DAYS: '0',
    CLEANUP_PERCENT_WHILE_OTHERS_WRITE: '100',
    LAPSE_MASK_KEY: MASK_KEY,
    LAPSE_NAMESPACE: name.replaceAll('_', '-'),
    ...more,
  });
  return {
    owner: clients[0]!,
    ownerUrl: cloud.ownerUrl(name),
    another: async () => {
      const client = await connect(cloud.ownerUrl(name));
      clients.push(client);
      return client;
    },
    services: (...policies) => ({
      ...made,
      policies,
      clock: () => NOW,
      backoff: { retries: 8, minTimeout: 1, maxTimeout: 5, factor: 1, randomize: false },
    }),
    end: async () => {
      for (const client of clients) await client.end();
      await cloud.dropDatabase(name);
    },
  };
}
