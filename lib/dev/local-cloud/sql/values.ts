/**
 * Values as JSON for a client that did not ask for raw text: booleans, small integers, floats and JSON are converted,
 * and every built-in array is a list; what a JSON number cannot hold exactly (int8, numeric, times) stays text.
 */
import { types } from 'pg';

const BOOL = 16;
const NUMBERS = new Set([21, 23, 700, 701]);
const JSONS = new Set([114, 3802]);
/** Array type → element type, as in pg_type. */
const ELEMENTS = new Map([
  [1000, 16],
  [1005, 21],
  [1007, 23],
  [1016, 20],
  [1021, 700],
  [1022, 701],
  [1028, 26],
  [1009, 25],
  [1015, 1043],
  [1231, 1700],
  [199, 114],
  [3807, 3802],
  [2951, 2950],
  [1185, 1184],
  [1115, 1114],
  [1182, 1082],
  [1183, 1083],
  [1270, 1266],
  [1187, 1186],
  [1001, 17],
  [1002, 18],
  [1003, 19],
  [1014, 1042],
  [1040, 829],
  [1041, 869],
  [651, 650],
  [791, 790],
  [1561, 1560],
  [1563, 1562],
]);

const { arrayParser } = types as unknown as {
  arrayParser: { create(text: string, convert: (v: string) => unknown): { parse(): unknown[] } };
};

export function asJson(typeId: number, text: string | null): unknown {
  if (text === null) return null;
  if (typeId === BOOL) return text === 't';
  if (NUMBERS.has(typeId)) return Number.isFinite(Number(text)) ? Number(text) : text;
  if (JSONS.has(typeId)) return JSON.parse(text);
  const element = ELEMENTS.get(typeId);
  return element === undefined ? text : arrayParser.create(text, (v) => asJson(element, v)).parse();
}
