/** The tests that need a Chromium: apart from the others, which run without one (vitest.config.mts). */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { alias: { '@': fileURLToPath(new URL('../..', import.meta.url)) } },
  test: {
    include: ['test/browser/**/*.browser.ts'],
    // One local cloud, one build of the app and one scene serve all of them.
    globalSetup: ['test/support/global-setup.ts', 'test/browser/support/setup.ts'],
    // For what hangs; a slow machine fails no test.
    testTimeout: 120_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 2,
  },
});
