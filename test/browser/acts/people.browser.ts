import { actTests } from './doing';
import { PEOPLE_ACTS } from './people';

actTests(PEOPLE_ACTS);
