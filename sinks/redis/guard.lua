-- Looks whether Redis still has what a writer has written, and notes how far it has come.
-- KEYS: the sentinel, a HASH with through (a rankings offset: all lists as of it are in this Redis), and
--       who noted that: writer, and seq, which counts what this writer has noted.
-- ARGV: 1 through, as the writer knows it ("" if it expects nothing)  2 writer  3 seq, as it knows it
--       4 through from now on ("" to look only)  5 seq from now on  6 TTL in ms
-- Returns the sentinel's through, -1 or more, or -2 if Redis has lost something; then it is left as it is.
local found = redis.call('HMGET', KEYS[1], 'through', 'writer', 'seq')
local through = tonumber(found[1] or nil)
if ARGV[1] ~= '' then
  local expected = tonumber(ARGV[1])
  if not through or through < expected
    or through == expected and found[2] == ARGV[2] and tonumber(found[3]) < tonumber(ARGV[3]) then
    return -2
  end
end
if ARGV[4] ~= '' then
  if not through or through < tonumber(ARGV[4]) then
    through = tonumber(ARGV[4])
    redis.call('HSET', KEYS[1], 'through', ARGV[4])
  end
  redis.call('HSET', KEYS[1], 'writer', ARGV[2], 'seq', ARGV[5])
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return through
