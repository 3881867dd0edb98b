/** Settings of the metrics and of the alerts' channels; Sentry has its own. A channel that is not set is not used. */
import { z } from 'zod';

const addresses = z
  .string()
  .transform((s) =>
    s
      .split(',')
      .map((a) => a.trim())
      .filter(Boolean),
  )
  .refine((all) => all.length > 0 && all.every((a) => z.email().safeParse(a).success), {
    message: 'must be e-mail addresses, comma separated',
  });

export const alertEnvironment = {
  /** Bearer of /api/metrics and of the details of /api/health; CRON_SECRET opens both too. */
  METRICS_TOKEN: z
    .string()
    .min(16, 'must be at least 16 characters')
    .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces')
    .optional(),
  ALERT_WEBHOOK_URL: z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }).optional(),
  /** Signs the body: header x-lapse-signature, HMAC-SHA-256 in hex. */
  ALERT_WEBHOOK_SECRET: z.string().min(16, 'must be at least 16 characters').optional(),
  ALERT_SMTP_URL: z
    .url({ protocol: /^smtps?$/, error: 'must look like smtps://user:password@host:465' })
    .optional(),
  ALERT_EMAIL_FROM: z.email('must be an e-mail address').optional(),
  ALERT_EMAIL_TO: addresses.optional(),
};

export interface AlertSettings {
  readonly metricsToken: string | undefined;
  readonly webhook: { readonly url: string; readonly secret: string | undefined } | undefined;
  readonly email:
    | { readonly smtp: string; readonly from: string; readonly to: readonly string[] }
    | undefined;
}

const Shape = z.object(alertEnvironment);

/** `problems` are added to those of all settings. */
export function alertSettings(e: z.output<typeof Shape>): { settings: AlertSettings; problems: string[] } {
  const { ALERT_SMTP_URL: smtp, ALERT_EMAIL_FROM: from, ALERT_EMAIL_TO: to } = e;
  const given = [smtp, from, to].filter((x) => x !== undefined).length;
  return {
    problems: [
      ...(given > 0 && given < 3
        ? ['ALERT_SMTP_URL, ALERT_EMAIL_FROM and ALERT_EMAIL_TO must be set together']
        : []),
      ...(e.ALERT_WEBHOOK_SECRET !== undefined && e.ALERT_WEBHOOK_URL === undefined
        ? ['ALERT_WEBHOOK_URL is required with ALERT_WEBHOOK_SECRET']
        : []),
    ],
    settings: {
      metricsToken: e.METRICS_TOKEN,
      webhook:
        e.ALERT_WEBHOOK_URL === undefined
          ? undefined
          : { url: e.ALERT_WEBHOOK_URL, secret: e.ALERT_WEBHOOK_SECRET },
      email: smtp !== undefined && from !== undefined && to !== undefined ? { smtp, from, to } : undefined,
    },
  };
}
