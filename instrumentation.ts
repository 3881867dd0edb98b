/** Runs once per server instance: a wrong setting stops it here, by name, before anything can be deleted. */
import * as Sentry from '@sentry/nextjs';

export async function register() {
  if (process.env.NEXT_RUNTIME !== 'nodejs') return;
  await import('./sentry.server.config');
  const { watchRequests } = await import('./lib/http/raw-url');
  watchRequests();
  const { services } = await import('./lib/services');
  try {
    services();
  } catch (error) {
    // The names of the variables, for the reader of the deployment's log; every request is refused then.
    console.error(error instanceof Error ? error.message : error);
    throw error;
  }
}

export const onRequestError = Sentry.captureRequestError;
