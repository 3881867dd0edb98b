/** What a page must be, whoever looks at it: every fault as a line to read. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** WCAG 2.0 to 2.2, levels A and AA, and what is good practice beyond them. */
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Until everything that came late is in its place. */
export const settled = (page: Page): Promise<unknown> =>
  page.waitForFunction(() => document.querySelector('template[id^="B:"], div[hidden][id^="S:"]') === null);

/** Faults of accessibility in what is visible now. */
export async function axeFaults(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = (await page.evaluate(
    (values) =>
      (globalThis as unknown as { axe: { run(of: Document, how: object): Promise<AxeResults> } }).axe.run(
        document,
        {
          runOnly: { type: 'tag', values },
          resultTypes: ['violations'],
        },
      ),
    RULES,
  )) as AxeResults;
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} (${help}): ${target.join(' ')}: ${failureSummary}`),
  );
}

/** The same with everything unfolded: an open menu covers a part of what lies below it, which is looked at without it. */
export const axeFaultsUnfolded = async (page: Page): Promise<string[]> =>
  (await axeFaults(page)).filter((fault) => !/^target-size .*partially obscured/s.test(fault));

/** What makes the page wider than its window. */
export const sidewaysScroll = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const wide = [...document.querySelectorAll('body *')].filter(
      (e) => e.getBoundingClientRect().right > clientWidth + 1,
    );
    return [
      `${scrollWidth} px wide in a window of ${clientWidth}`,
      ...wide.slice(-3).map((e) => e.outerHTML.slice(0, 160)),
    ];
  });

/** Unfolds what can be; how many there were. */
export const openAll = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const folded = [...document.querySelectorAll('details:not([open])')];
    for (const one of folded) one.setAttribute('open', '');
    return folded.length;
  });
