/**
 * Hands a message to the mail server and says how that ended: taken, certainly not taken, or not known. Taken by the
 * recipient's server or by the relay that answers for it is all that a sender ever learns, so that is what "delivered" means.
 */
import { createTransport } from 'nodemailer';
import { transportOptions } from '../../platform/alerts/channels';
import type { NoticeSettings } from '../../platform/settings/notices';
import type { Mail } from './compose';

type Sent =
  | { readonly how: 'taken' }
  | { readonly how: 'refused'; readonly because: string; readonly isDown: boolean }
  | { readonly how: 'unknown'; readonly because: string };

export interface Mailer {
  send(to: string, id: string, mail: Mail): Promise<Sent>;
  close(): void;
}

/** `host`: of the installation, behind the @ of the Message-ID. */
export function mailer(settings: NoticeSettings, host: string): Mailer {
  const transport = createTransport({ ...transportOptions(settings.smtp), pool: true, maxConnections: 2 });
  return {
    send: async (to, id, mail) => {
      try {
        const { rejected } = await transport.sendMail({
          from: settings.from,
          to,
          messageId: `<${id}.${mail.sha256.slice(0, 16)}@${host}>`,
          subject: mail.subject,
          text: mail.text,
          html: mail.html,
          // RFC 8058: one click of a mail program unsubscribes, without a page.
          headers: {
            'auto-submitted': 'auto-generated',
            'list-unsubscribe': `<${mail.unsubscribe}>`,
            'list-unsubscribe-post': 'List-Unsubscribe=One-Click',
          },
        });
        return rejected.length === 0
          ? { how: 'taken' }
          : { how: 'refused', because: 'rejected', isDown: false };
      } catch (error) {
        return endOf(error as SmtpError);
      }
    },
    close: () => transport.close(),
  };
}

interface SmtpError {
  readonly code?: string;
  readonly command?: string;
  readonly responseCode?: number;
  readonly syscall?: string;
  readonly message?: string;
}

/** Failures before a message could be handed over, by nodemailer's classes. */
const BEFORE = ['EDNS', 'EAUTH', 'ETLS', 'EENVELOPE', 'EMESSAGE', 'EOAUTH2', 'ENOAUTH'];
/** Its own words for a server that never answered the connection. */
const UNCONNECTED = /^(Connection timeout|Greeting never received)/;

/** The server's refusal is certain; what broke behind the connection may have been taken. Only classes are kept: words may repeat the address. */
function endOf({ code = 'unsent', command, responseCode, syscall, message = '' }: SmtpError): Sent {
  const because = /^[A-Z0-9]+$/.test(code) ? `smtp.${code}` : 'smtp.unsent';
  const unreached = syscall === 'connect' || UNCONNECTED.test(message);
  if (responseCode !== undefined) {
    // Refused for this recipient, or for its content; or for everyone, as long as the server is not itself.
    const isDown = code !== 'EENVELOPE' && command !== 'DATA';
    return { how: 'refused', because: `${because}.${responseCode}`, isDown };
  }
  if (unreached || BEFORE.includes(code)) return { how: 'refused', because, isDown: code !== 'EENVELOPE' };
  return { how: 'unknown', because };
}
