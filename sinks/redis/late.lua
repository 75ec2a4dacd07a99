-- Counts late events of one window and group, each record of a source partition once.
-- KEYS: a list's meta HASH.
-- ARGV: 1 the field that holds the greatest offset counted of the source partition  2 TTL in ms
--       3 "1" to count even if there is no such HASH yet  then the records' offsets, ascending.
-- Returns how many were counted, or -1 where there is no HASH.
local exists = redis.call('EXISTS', KEYS[1])
if exists == 0 and ARGV[3] ~= '1' then
  return -1
end
local through = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or -1)
local n = 0
for i = 4, #ARGV do
  if tonumber(ARGV[i]) > through then
    n = n + 1
  end
end
if n > 0 then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[#ARGV])
  redis.call('HINCRBY', KEYS[1], 'late', n)
end
if exists == 0 and n > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return n
