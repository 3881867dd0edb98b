/** A browser window, in which what goes wrong is written down. */
import type { Browser, BrowserContext, Page } from 'playwright-core';

/** How somebody looks: at a desk by day, at a desk at night, at a phone. */
export const LOOKS = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true },
} as const;
export type Look = keyof typeof LOOKS;

export interface Window {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the content policy kept from happening since the window was opened, in any page of it. */
  readonly violations: readonly string[];
  /** Errors of scripts, and answers of 500 or more. */
  readonly faults: readonly string[];
}

export async function signIn(page: Page, token: string, path = '/'): Promise<void> {
  await page.goto(`/sign-in?back=${encodeURIComponent(path)}`);
  await page.getByLabel('Operator token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: 'Lapse', exact: true }).waitFor();
}

/** A window of its own, with nothing of another's. */
export async function windowOf(
  browser: Browser,
  url: string,
  look: Look,
  javaScriptEnabled: boolean,
): Promise<Window> {
  const context = await browser.newContext({
    ...LOOKS[look],
    baseURL: url,
    javaScriptEnabled,
    locale: 'en-GB',
  });
  const violations: string[] = [];
  const faults: string[] = [];
  // A binding outlives the page that calls it: a violation is not lost with the page that an act left.
  await context.exposeBinding('reportViolation', ({ page }, what: string) => {
    violations.push(`${new URL(page.url()).pathname}: ${what}`);
  });
  await context.addInitScript(() => {
    const report = (globalThis as unknown as { reportViolation(what: string): void }).reportViolation;
    document.addEventListener('securitypolicyviolation', (e) =>
      report(`${e.effectiveDirective} refused ${e.blockedURI} ${e.sample}`),
    );
  });
  const page = await context.newPage();
  page.on('pageerror', (error) => faults.push(`${new URL(page.url()).pathname}: ${error.message}`));
  page.on('response', (r) => {
    if (r.status() >= 500) faults.push(`${r.status()} of ${r.url()}`);
  });
  return { page, context, violations, faults };
}
