-- Makes a generation's lists public, all at once: for a single server.
-- KEYS: the HASH that says which generation is public; the journal, a SET of the keys of all lists.
-- ARGV: 1 generation  2 epoch  3 a member of the journal, which is whole if it is there still  4 state  5 TTL in ms
-- Nothing after the pointer is set may end the script, or the rest would stay where it is for good: what is in the way of a list, such as somebody
-- else's key of another type, leaves that list alone.
-- Returns how many lists were moved, -1 where the journal has to be made anew, -2 where a later epoch, or this epoch with another generation, is there.
local at = redis.call('HMGET', KEYS[1], 'generation', 'epoch')
local epoch = tonumber(at[2] or 0)
if epoch > tonumber(ARGV[2]) or epoch == tonumber(ARGV[2]) and at[1] ~= ARGV[1] then
  return -2
elseif epoch == tonumber(ARGV[2]) then
  return 0
elseif redis.call('SISMEMBER', KEYS[2], ARGV[3]) == 0 then
  return -1
end
redis.call('SREM', KEYS[2], ARGV[3]) -- it is no list
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'epoch', ARGV[2], 'state', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
local moved = 0
for _, key in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  local fine, n = pcall(show, key, ARGV[1])
  moved = moved + (fine and n or 0)
end
redis.call('UNLINK', KEYS[2])
return moved
