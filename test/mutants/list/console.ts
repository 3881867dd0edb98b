/** The console: who is signed in, what they may, where a form came from, how often a token is tried. */
import type { Mutant } from '../mutant';

const sessions = ['test/http/console/session.test.ts'];
const acts = ['test/http/console/acts.test.ts'];
const signIn = ['test/http/console/sign-in.test.ts'];
const roles = ['test/http/console/roles.test.ts'];

export const consoleMutants: readonly Mutant[] = [
  {
    id: 'CO01',
    promise: 'A session counts only for the token that it was made with.',
    file: 'lib/http/console/session.ts',
    find: ' || operator.name !== claims.name',
    replace: '',
    tests: sessions,
  },
  {
    id: 'CO02',
    promise: 'What is sealed for one purpose opens nothing else.',
    file: 'lib/http/console/session.ts',
    find: '`lapse console $' + '{purpose}`',
    replace: "'lapse console'",
    tests: sessions,
  },
  {
    id: 'CO03',
    promise: 'A form of another site acts for no one.',
    file: 'lib/http/console/act.ts',
    find: '    refuseOtherSites(request);\n    const s = made();',
    replace: '    const s = made();',
    tests: acts,
  },
  {
    id: 'CO04',
    promise: 'A form without an Origin acts for no one.',
    file: 'lib/http/console/same-origin.ts',
    find: 'return origin !== null && new URL(origin).host === host;',
    replace: 'return origin === null || new URL(origin).host === host;',
    tests: acts,
  },
  {
    id: 'CO05',
    promise: 'A browser that says where a form comes from is believed.',
    file: 'lib/http/console/same-origin.ts',
    find: "(site === null || site === 'same-origin')",
    replace: "(site === null || site !== 'cross-site')",
    tests: acts,
  },
  {
    id: 'CO06',
    promise: 'A role is asked for in every act of the console.',
    file: 'lib/http/console/act.ts',
    find: '    demand(who, act.needs);\n',
    replace: '',
    tests: acts,
  },
  {
    id: 'CO07',
    promise: 'Nothing is decided on a preview deployment.',
    file: 'lib/http/console/act.ts',
    find: 'isPreview(s.settings) && !act.onPreview',
    replace: 'false',
    tests: acts,
  },
  {
    id: 'CO08',
    promise: 'An act leads back to no other site.',
    file: 'lib/http/console/same-origin.ts',
    find: "return url.host === 'console.invalid' &&",
    replace: 'return path.length > 0 &&',
    tests: acts,
  },
  {
    id: 'CO09',
    promise: 'A role is asked for in every action at the control endpoint.',
    file: 'lib/operators/actions.ts',
    find: '  demand({ name: acting.operator, roles: acting.roles }, chosen.needs);\n',
    replace: '',
    tests: roles,
  },
  {
    id: 'CO10',
    promise: 'Who only looks reads no trail of single records.',
    file: 'lib/http/operator-route.ts',
    find: "request.method === 'POST' ? 'stop' : toRead",
    replace: "request.method === 'POST' ? 'stop' : 'look'",
    tests: roles,
  },
  {
    id: 'CO11',
    promise: 'An address that failed too often may not try.',
    file: 'lib/http/console/tries.ts',
    find: 'return each === EACH || (each > 0 && all > 0);',
    replace: 'return each === EACH || all > 0;',
    tests: signIn,
  },
  {
    id: 'CO12',
    promise: 'While Redis is away failures are counted all the same.',
    file: 'lib/http/console/tries.ts',
    find: '      await Promise.all([own.each.count(address), own.all.count(EVERYONE)]);\n',
    replace: '',
    tests: signIn,
  },
  {
    id: 'CO13',
    promise: 'Only Vercel says where a caller is.',
    file: 'lib/http/console/tries.ts',
    find: "if (env.VERCEL !== '1') return UNKNOWN_ADDRESS;",
    replace: '',
    tests: signIn,
  },
  {
    id: 'CO14',
    promise: 'A run at once is typed.',
    file: 'lib/http/console/run-acts.ts',
    find: 'if (confirm !== known) {',
    replace: 'if (confirm.length === 0) {',
    tests: ['test/http/console/policies.test.ts:at once'],
  },
];
