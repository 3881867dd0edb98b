/** Settings of the messages to organizations (lib/rights/notices): a mail server and a sender of their own, apart from the alerts'. */
import { z } from 'zod';

export const noticeEnvironment = {
  NOTICE_SMTP_URL: z
    .url({ protocol: /^smtps?$/, error: 'must look like smtps://user:password@host:465' })
    .optional(),
  NOTICE_FROM: z.email('must be an e-mail address').optional(),
};

export interface NoticeSettings {
  readonly smtp: string;
  readonly from: string;
}

const Shape = z.object(noticeEnvironment);

/** `problems` are added to those of all settings. */
export function noticeSettings({ NOTICE_SMTP_URL: smtp, NOTICE_FROM: from }: z.output<typeof Shape>): {
  settings: NoticeSettings | undefined;
  problems: string[];
} {
  return {
    problems:
      (smtp === undefined) !== (from === undefined)
        ? ['NOTICE_SMTP_URL and NOTICE_FROM must be set together']
        : [],
    settings: smtp !== undefined && from !== undefined ? { smtp, from } : undefined,
  };
}
