import * as Sentry from '@sentry/nextjs';

// Without a public DSN this stays silent; the console shows no personal data, and none is collected.
Sentry.init({
  ...(process.env.NEXT_PUBLIC_SENTRY_DSN ? { dsn: process.env.NEXT_PUBLIC_SENTRY_DSN } : {}),
  dataCollection: {
    userInfo: false,
    cookies: false,
    httpHeaders: { request: false, response: false },
    httpBodies: [],
    urlQueryParams: false,
  },
});

export const onRouterTransitionStart = Sentry.captureRouterTransitionStart;
