/** GET /api/reports/drift, for operators: what the last look found adrift, each with the line to write or the statement to run. */
import { RequestError } from '../platform/errors';
import { askOne } from '../platform/session';
import { type Services, services } from '../services';
import { currentDrift } from '../watch/drift/store';
import type { Handler } from './answered';
import { operatorRoute } from './operator-route';
import { urlOf } from './raw-url';

const STATEMENT_MS = 5_000;

export const driftRoute = (provide: () => Services = services): Handler =>
  operatorRoute(
    async (s, _operator, request) => {
      const [given] = urlOf(request).searchParams.keys();
      if (given !== undefined) {
        throw new RequestError(
          400,
          'unknown_parameter',
          `${given} is not a parameter; there are none`,
          given,
        );
      }
      return { drift: await askOne(s.reading, currentDrift, { statementMs: STATEMENT_MS, readOnly: true }) };
    },
    provide,
    'reports',
  );
