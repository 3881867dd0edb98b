/** Runs once per server instance, at its start: a wrong setting stops it here, by name, before anything can be deleted. */
import type { Instrumentation } from 'next';

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

/** What Next could not answer: in the log and in Sentry under the digest that its page shows. */
export const onRequestError: Instrumentation.onRequestError = async (error) => {
  if (process.env.NEXT_RUNTIME !== 'nodejs') return;
  const { notAnswered } = await import('./lib/http/answered');
  await notAnswered(error);
};
