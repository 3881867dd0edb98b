/** Before all files: the app is built, and the scene of the demo is made once, in a database that each file copies. */
import type { TestProject } from 'vitest/node';
import { build } from '@/lib/dev/demo/app';
import { makeScene, type Scene } from '@/lib/dev/demo/scene';
import { createDatabase, dropDatabase } from '@/lib/dev/local-cloud/roles';
import { DATABASE_NAME } from '../../support/provided';

export interface ProvidedScene {
  readonly database: string;
  readonly scene: Scene;
}

declare module 'vitest' {
  interface ProvidedContext {
    scene: ProvidedScene;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { url, ownerUrl, template, env } = project.getProvidedContext().cloud;
  const database = `lapse_scene_${process.pid}`;
  await createDatabase(ownerUrl, database, template!);
  const named = (text: string) => text.replaceAll(DATABASE_NAME, database);
  const own = Object.fromEntries(Object.entries(env).map(([key, value]) => [key, named(value)]));
  const [scene] = await Promise.all([
    makeScene({ ownerUrl: own.MIGRATION_DATABASE_URL!, env: own, now: new Date() }),
    build((line) => console.log(line)),
  ]);
  // A database is only copied while nobody is in it.
  await fetch(`${url}/local-cloud/sessions?database=${database}`, { method: 'DELETE' });
  project.provide('scene', { database, scene: { ...scene, env: renamed(scene.env, database) } });
  return () => dropDatabase(ownerUrl, database);
}

/** For copies: each puts its own name in. */
const renamed = (env: Scene['env'], database: string): Scene['env'] =>
  Object.fromEntries(
    Object.entries(env).map(([key, value]) => [key, value.replaceAll(database, DATABASE_NAME)]),
  );
