/** Dark or light, as the reader chose; without a choice, as their system has it. */
import { type Services, services } from '../../services';
import { answered, type Handler } from '../answered';
import { seeOther } from './act';
import { setCookie } from './cookies';
import { readForm } from './form';
import { ownPath, refuseOtherSites } from './same-origin';

export const THEME_COOKIE = '__Host-lapse-theme';
const THEMES = ['light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];
const YEAR_SECONDS = 365 * 86_400;

/** Undefined: as the reader's system has it. */
export const themeIn = (cookie: string | undefined): Theme | undefined =>
  THEMES.find((theme) => theme === cookie);

export const themeRoute = (provide: () => Services = services): { POST: Handler } => ({
  POST: answered('console', provide, async ({ request }) => {
    refuseOtherSites(request);
    const { theme, back } = await readForm(request);
    const chosen = themeIn(theme);
    return seeOther(ownPath(back), [setCookie(THEME_COOKIE, chosen ?? '', chosen ? YEAR_SECONDS : 0)]);
  }),
});
