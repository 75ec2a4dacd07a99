-- Notes which generation is public: for a cluster.
-- KEYS: the HASH that says so.
-- ARGV: 1 generation  2 epoch  3 state  4 TTL in ms
-- Returns 1, or -2 where a later epoch, or this epoch with another generation, is there.
local at = redis.call('HMGET', KEYS[1], 'generation', 'epoch')
local epoch = tonumber(at[2] or 0)
if epoch > tonumber(ARGV[2]) or epoch == tonumber(ARGV[2]) and at[1] ~= ARGV[1] then
  return -2
end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'epoch', ARGV[2], 'state', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
