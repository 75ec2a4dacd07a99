-- Counts late events of one window and group, each record of a source partition once.
-- KEYS: a list's meta HASH; on a single server with generations also the HASH that says which one is public.
-- ARGV: 1 the field that holds the greatest offset counted of the source partition  2 TTL in ms
--       3 "1" to count even if there is no such HASH yet  4 generation and 5 as of what this is its HASH, as in list.lua  then the records' offsets, ascending.
-- Returns how many were counted, -1 where there is no HASH, or -2 where this isn't the generation's HASH, as of another state.
local generation = ARGV[4]
if KEYS[2] and redis.call('HGET', KEYS[2], 'state') ~= ARGV[5] then
  return -2
end
local exists = redis.call('EXISTS', KEYS[1])
if exists == 0 and ARGV[3] ~= '1' then
  return -1
end
local at = {}
if generation ~= '' then
  at = redis.call('HMGET', KEYS[1], 'generation', 'epoch')
  if not KEYS[2] and at[1] and (at[1] ~= generation or tonumber(at[2] or 0) > tonumber(ARGV[5])) then
    return -2
  end
end
local through = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or -1)
local n = 0
for i = 6, #ARGV do
  if tonumber(ARGV[i]) > through then
    n = n + 1
  end
end
if n > 0 then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[#ARGV])
  redis.call('HINCRBY', KEYS[1], 'late', n)
end
if generation ~= '' and n > 0 and not at[1] then
  redis.call('HSET', KEYS[1], 'generation', generation)
  if not KEYS[2] then
    redis.call('HSET', KEYS[1], 'epoch', ARGV[5])
  elseif redis.call('EXISTS', KEYS[2] .. ':lists') == 1 then
    redis.call('SADD', KEYS[2] .. ':lists', string.match(KEYS[1], '^{(.*)}'))
  end
end
if exists == 0 and n > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return n
