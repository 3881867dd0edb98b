/** Settings of the alerts' channels beside Sentry, checked with all others. A channel that is not set is not used. */
import { z } from 'zod';
import { isWebhookSecret } from '../alerts/signature';
import { isPrivate } from '../transport';

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
  ALERT_WEBHOOK_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http(s) URL' })
    .refine(isPrivate, 'must begin with https:// (http:// only on this machine)')
    .optional(),
  /** Key of the webhook's signature. */
  ALERT_WEBHOOK_SECRET: z
    .string()
    .min(16, 'must be at least 16 characters')
    .refine(isWebhookSecret, 'must be base64 behind whsec_: at least 15 bytes, or without whsec_ any text')
    .optional(),
  ALERT_EMAIL_SMTP_URL: z
    .url({ protocol: /^smtps?$/, error: 'must look like smtps://user:password@host:465' })
    .optional(),
  ALERT_EMAIL_FROM: z.email('must be an e-mail address').optional(),
  ALERT_EMAIL_TO: addresses.optional(),
};

export interface AlertSettings {
  readonly webhook: { readonly url: string; readonly secret: string } | undefined;
  readonly email:
    | { readonly smtp: string; readonly from: string; readonly to: readonly string[] }
    | undefined;
}

const Shape = z.object(alertEnvironment);

/** `problems` are added to those of all settings. */
export function alertSettings(environment: z.output<typeof Shape>): {
  settings: AlertSettings;
  problems: string[];
} {
  const { ALERT_WEBHOOK_URL: url, ALERT_WEBHOOK_SECRET: secret } = environment;
  const { ALERT_EMAIL_SMTP_URL: smtp, ALERT_EMAIL_FROM: from, ALERT_EMAIL_TO: to } = environment;
  const given = [smtp, from, to].filter((x) => x !== undefined).length;
  return {
    problems: [
      ...((url === undefined) !== (secret === undefined)
        ? ['ALERT_WEBHOOK_URL and ALERT_WEBHOOK_SECRET must be set together']
        : []),
      ...(given > 0 && given < 3
        ? ['ALERT_EMAIL_SMTP_URL, ALERT_EMAIL_FROM and ALERT_EMAIL_TO must be set together']
        : []),
    ],
    settings: {
      webhook: url !== undefined && secret !== undefined ? { url, secret } : undefined,
      email: smtp !== undefined && from !== undefined && to !== undefined ? { smtp, from, to } : undefined,
    },
  };
}
