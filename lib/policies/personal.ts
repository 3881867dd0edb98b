/**
 * Which columns look as if they held personal data, by name and type alone. A guess that asks a question: the data map
 * answers it, with a handling or as `impersonal`. Names of Prisma, Rails and Django read alike (`ipAddress`, `ip_address`).
 */
import type { Classification } from './data-map-contract';

export interface Column {
  readonly table: string;
  readonly column: string;
  /** As PostgreSQL prints it. */
  readonly type: string;
}

type Kind = 'text' | 'number' | 'date' | 'address' | 'other';

/** Words of the name, `_` before, between and after each. */
interface Look {
  readonly classification: Classification;
  readonly words: RegExp;
  readonly kinds: readonly Kind[];
}

const TEXT: readonly Kind[] = ['text', 'other'];
const ANY: readonly Kind[] = ['text', 'number', 'date', 'address', 'other'];

/** The first that fits; the most sensitive first. */
const LOOKS: readonly Look[] = [
  // Grants access, or is as good as an identity.
  {
    classification: 'restricted',
    words:
      /_(password|passwd|passphrase|secret|token|otp|pin|salt|credential|credentials|api_key|private_key|recovery_codes?)_/,
    kinds: TEXT,
  },
  {
    classification: 'restricted',
    words:
      /_(ssn|social_security|national_id|passport|tax_id|iban|account_number|card_number|license_number)_/,
    kinds: ['text', 'number', 'other'],
  },
  // GDPR Art. 9.
  {
    classification: 'restricted',
    words:
      /_(religion|ethnicity|race|health|diagnosis|disability|sexual_orientation|biometrics?|union_member)_/,
    kinds: TEXT,
  },
  {
    classification: 'confidential',
    words: /_(birth|birthday|birthdate|dob|birth_date|date_of_birth)_/,
    kinds: ANY,
  },
  {
    classification: 'confidential',
    words:
      /_(e_?mails?|mail_address|phones?|telephone|mobile|fax|street|address(es)?|address_?\d|zip|zip_?code|postal_code|postcode)_/,
    kinds: ['text', 'address', 'number', 'other'],
  },
  {
    classification: 'confidential',
    words:
      /_(first|last|given|family|middle|maiden|full|nick|display|user|login|sur|contact|customer|recipient|sender|signer|author)_?name_/,
    kinds: TEXT,
  },
  {
    classification: 'confidential',
    words: /_(gender|sex|nationality|signature|avatar|photo|picture|bio)_/,
    kinds: TEXT,
  },
  {
    classification: 'confidential',
    words: /_(ip|ip_address|ip_addr|user_agent|fingerprint|device_id|latitude|longitude|geolocation)_/,
    kinds: ANY,
  },
  // Free words of a person, or about one.
  {
    classification: 'confidential',
    words: /_(payload|body|messages?|comments?|notes?|answers?)_$/,
    kinds: TEXT,
  },
  // Names a person by a key.
  {
    classification: 'confidential',
    words:
      /_(user|customer|member|person|patient|employee|staff|contact|author|actor|subscriber|profile|owner|creator|recipient|sender)_(id|uuid)_$/,
    kinds: ['text', 'number', 'other'],
  },
  {
    classification: 'confidential',
    words: /_(created|updated|deleted|invited|assigned|uploaded|approved)_by(_id)?_$/,
    kinds: ANY,
  },
];

/** A bare `name` is a person's only where the table is about people. */
const PEOPLE =
  /_(users?|customers?|members?|persons?|people|patients?|employees?|staff|contacts?|authors?|actors?|subscribers?|profiles?|recipients?|signers?|leads?|students?|guests?|accounts?)_$/;

const NO_CONTENT = /_(at|on|count|length|size|bytes|status|type|kind|enabled|verified|version)_$/;

/** How sensitive the column looks; null for one that identifies no person. */
export function looksPersonal({ table, column, type }: Column): Classification | null {
  const words = wordsOf(column);
  const kind = kindOf(type);
  if (/^_(name|username)_$/.test(words) && kind === 'text' && PEOPLE.test(wordsOf(table)))
    return 'confidential';
  if (NO_CONTENT.test(words) || kind === null) return null;
  return LOOKS.find((look) => look.kinds.includes(kind) && look.words.test(words))?.classification ?? null;
}

/** `ipAddress`, `IPAddress` and `ip-address` → `_ip_address_`. */
const wordsOf = (name: string): string =>
  `_${name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')}_`;

/** Null: its type cannot hold personal data, whatever its name. */
function kindOf(type: string): Kind | null {
  const of = type.toLowerCase().replace(/\[\]$/, '');
  if (/^(boolean|interval|tsvector|money)/.test(of)) return null;
  if (/^(text|character|varchar|char|citext|name|json|jsonb|xml|hstore|bytea)/.test(of)) return 'text';
  if (/^(smallint|integer|bigint|numeric|real|double|oid)/.test(of)) return 'number';
  if (/^(date|time)/.test(of)) return 'date';
  if (/^(inet|cidr|macaddr|point|geography|geometry)/.test(of)) return 'address';
  return 'other';
}
