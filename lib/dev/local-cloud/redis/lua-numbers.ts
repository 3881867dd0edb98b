/**
 * Redis' Lua (5.1) has one kind of number, a double; fengari's (5.3) also has integers, of 32 bits, that wrap without a
 * word: 100000 * 100000 would be 1410065408. So no integer is let in: literals are rewritten as doubles, the library's
 * functions return doubles (PRELUDE), and a double without fraction prints as `5`, not `5.0`. What 5.3 alone
 * has (integer division, bitwise operators) does not compile, as in Redis. What is left: the text of a number of
 * more than 14 digits, which Redis writes with an exponent.
 *
 * Imported before fengari, which reads this setting once, when it is loaded.
 */
process.env.FENGARICONF ??= JSON.stringify({ LUA_COMPAT_FLOATSTRING: true });

const TOKEN =
  /--\[(=*)\[[\s\S]*?\]\1\]|--[^\n]*|\[(=*)\[[\s\S]*?\]\2\]|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'|[A-Za-z_]\w*|(0[xX][\da-fA-F]+)|(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|~=|(\/\/|<<|>>|[&|~])/g;

/** The same script with every number a double. Throws Error at an operator Redis does not have. */
export function withDoubles(source: string): string {
  return source.replace(TOKEN, (token, _c, _s, hex?: string, decimal?: string, operator?: string) => {
    if (operator !== undefined) throw new Error(`unexpected symbol near '${operator}'`);
    if (hex !== undefined) return `${Number(hex)}.0`;
    return decimal !== undefined && /^\d+$/.test(decimal) ? `${decimal}.0` : token;
  });
}

/** Run once in the state: what returned an integer returns a double, and %d takes any number, as in 5.1. */
export const DOUBLES = `
local pack, subtype = table.pack, math.type
local function double(f)
  return function(...)
    local results = pack(f(...))
    for i = 1, results.n do
      if subtype(results[i]) == 'integer' then results[i] = results[i] + 0.0 end
    end
    return table.unpack(results, 1, results.n)
  end
end
tonumber, select = double(tonumber), double(select)
for _, name in ipairs({ 'floor', 'ceil', 'fmod', 'modf', 'random', 'abs', 'max', 'min' }) do math[name] = double(math[name]) end
for _, name in ipairs({ 'len', 'byte', 'find', 'gsub' }) do string[name] = double(string[name]) end
local format, gsub = string.format, string.gsub
string.format = function(pattern, ...)
  local values, at = pack(...), 0
  local plain = gsub(pattern, '%%([-+ #0]*%d*)(%.?%d*)(.)', function(flags, precision, kind)
    if kind == '%' then return nil end
    at = at + 1
    local value = tonumber(values[at])
    if (kind ~= 'd' and kind ~= 'i') or precision ~= '' or value == nil then return nil end
    values[at] = value < 0 and math.ceil(value) or math.floor(value)
    return '%' .. flags .. '.0f'
  end)
  return format(plain, table.unpack(values, 1, values.n))
end
`;
