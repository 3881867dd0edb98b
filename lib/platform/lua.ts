/**
 * What every script of Lapse reads with: a key of another kind than text, which no version of Lapse ever wrote, is taken
 * away and counts as absent, so that one wrong entry stops no policy.
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
