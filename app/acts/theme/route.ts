import { themeRoute } from '@/lib/http/console/theme';

export const maxDuration = 60;
export const { POST } = themeRoute();
