import { withSentryConfig } from '@sentry/nextjs/config';
import type { NextConfig } from 'next';

const config: NextConfig = {
  poweredByHeader: false,
  // pino resolves its transports at run time; bundling it breaks that.
  serverExternalPackages: ['pino'],
};

export default withSentryConfig(config, { silent: true, telemetry: false, sourcemaps: { disable: true } });
