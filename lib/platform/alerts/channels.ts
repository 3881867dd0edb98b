/**
 * The ways an alert leaves. Each carries the incident's id and the delivery's, so that a receiver can tell a
 * repeated attempt; each carries only what Lapse worded itself: causes, counts, names of policies.
 */
import { createTransport } from 'nodemailer';
import { LapseError } from '../errors';
import { capture } from '../sentry';
import type { Settings } from '../settings';
import { isPrivate } from '../transport';
import type { Channel } from './incidents';
import { signatureHeaders } from './signature';

/** An alert is sent after a run, whose answer waits for it. What takes longer is tried again later. */
const TIMEOUT_MS = 5_000;

export interface Alert {
  /** Of the delivery: the same on every attempt. */
  readonly id: string;
  readonly incident: string;
  readonly cause: string;
  readonly moment: 'warning' | 'critical' | 'again' | 'recovered';
  readonly message: string;
  readonly openedAt: string;
  readonly recoveredAt: string | null;
  readonly environment: string;
}

/** Throws what the channel threw; done when it took the alert. */
export type Send = (alert: Alert) => Promise<void>;

/** A refused or unreachable channel, by its class only: its answer may repeat the address. */
class Unsent extends LapseError {}

export function sendersOf(settings: Settings): Partial<Record<Channel, Send>> {
  const { webhook, email } = settings.alerts;
  return {
    ...(settings.sentryDsn === undefined ? {} : { sentry }),
    ...(webhook ? { webhook: (alert) => post(webhook, alert) } : {}),
    ...(email ? { email: (alert) => mail(email, alert) } : {}),
  };
}

async function sentry(alert: Alert): Promise<void> {
  const level =
    alert.moment === 'recovered' ? 'info' : alert.moment === 'critical' ? 'error' : ('warning' as const);
  const [event = alert.cause, policy] = alert.cause.split(':');
  capture(new LapseError(event, line(alert)), { code: event, level, ...(policy ? { policy } : {}) });
}

async function post(to: { url: string; secret: string }, alert: Alert): Promise<void> {
  const body = JSON.stringify(alert);
  let status: number;
  try {
    const response = await fetch(to.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...signatureHeaders(to.secret, alert.id, body, new Date()),
      },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    ({ status } = response);
    await response.body?.cancel();
  } catch (error) {
    throw new Unsent('webhook.unreachable', error instanceof Error ? error.name : 'unreachable');
  }
  if (status < 200 || status > 299) throw new Unsent(`webhook.${status}`, `HTTP ${status}`);
}

export const transportOptions = (smtp: string) => ({
  url: smtp,
  connectionTimeout: TIMEOUT_MS,
  greetingTimeout: TIMEOUT_MS,
  socketTimeout: TIMEOUT_MS,
  // smtp:// begins in plain text: nothing is sent, neither password nor mail, before it is encrypted.
  ...(isPrivate(smtp) ? {} : { requireTLS: true }),
  disableFileAccess: true,
  disableUrlAccess: true,
});

async function mail(to: { smtp: string; from: string; to: readonly string[] }, alert: Alert): Promise<void> {
  const transport = createTransport(transportOptions(to.smtp));
  try {
    await transport.sendMail({
      from: to.from,
      to: [...to.to],
      messageId: `<${alert.id}@lapse>`,
      headers: { 'x-lapse-incident': alert.incident },
      subject: `[Lapse ${alert.environment}] ${alert.moment}: ${alert.cause}`,
      text: `${line(alert)}\n\nIncident ${alert.incident}, open since ${alert.openedAt}${
        alert.recoveredAt === null ? '' : `, over at ${alert.recoveredAt}`
      }.\nWhat to do: docs/RUNBOOK.md, "Alerts".\n`,
    });
  } catch (error) {
    const code = (error as { code?: string }).code;
    throw new Unsent(`email.${/^[A-Z]+$/.test(code ?? '') ? code : 'unsent'}`, 'the mail was not taken');
  } finally {
    transport.close();
  }
}

const line = (a: Alert): string =>
  a.moment === 'recovered' ? `over: ${a.cause}. It was: ${a.message}` : a.message;
