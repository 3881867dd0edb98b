import * as Sentry from '@sentry/nextjs';
import { NO_COLLECTION, scrubEvent, scrubSpan, scrubTraces } from './lib/platform/scrub';

// Without a public DSN this stays silent; the pages show no personal data, and none is collected.
Sentry.init({
  ...(process.env.NEXT_PUBLIC_SENTRY_DSN ? { dsn: process.env.NEXT_PUBLIC_SENTRY_DSN } : {}),
  dataCollection: NO_COLLECTION,
  beforeSend: scrubEvent,
  beforeSendSpan: scrubSpan,
  beforeBreadcrumb: () => null,
  integrations: [scrubTraces],
});

export const onRouterTransitionStart = Sentry.captureRouterTransitionStart;
