import * as Sentry from '@sentry/nextjs';
import { sentryOptions } from './lib/sentry';

Sentry.init(sentryOptions(process.env));
