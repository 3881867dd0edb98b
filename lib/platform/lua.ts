/**
 * How every script of Lapse reads a key: one that is not text, which no version of Lapse ever wrote, is removed and
 * counts as absent, so that one wrong entry stops no policy.
 */
export const READ_TEXT = `local function text(key)
  local value = redis.pcall('get', key)
  if type(value) == 'table' then
    redis.call('del', key)
    return false
  end
  return value
end
`;
