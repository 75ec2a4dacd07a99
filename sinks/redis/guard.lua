-- Looks whether Redis still has what a writer has written, and notes how far it has come.
-- KEYS: the sentinel, a HASH with
--       id       given by whoever made it
--       seq      grows with each note
--       through  a rankings offset: all lists as of it are in this Redis
--       lost     1 from when something was found missing until it has been filled in
-- ARGV: 1 look, raise through, hold (look, while something is known to be missing), fill (all is there again: raise),
--         or lose (something is missing)
--       2 id, 3 seq, 4 through as the writer knows them: at least so much must be there; "", 0, -1 if it expects nothing
--       5 through from now on  6 an id for a new sentinel  7 TTL in ms
-- Returns {1 if all is there, 0 if something is missing; id; seq}.
local action = ARGV[1]
local found = redis.call('HMGET', KEYS[1], 'id', 'seq', 'through', 'lost')
local id, seq, through = found[1], tonumber(found[2] or 0), tonumber(found[3] or -1)

local fine = (ARGV[2] == '' or id == ARGV[2] and seq >= tonumber(ARGV[3])) and through >= tonumber(ARGV[4])
if not id then
  id, seq = ARGV[6], 1
  redis.call('HSET', KEYS[1], 'id', id, 'seq', '1', 'through', '-1')
end
if action == 'lose' or found[4] == '1' and (action == 'look' or action == 'raise') then
  fine = false
end

if not fine then
  redis.call('HSET', KEYS[1], 'lost', '1')
elseif action == 'raise' or action == 'fill' then
  seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
  if through < tonumber(ARGV[5]) then
    redis.call('HSET', KEYS[1], 'through', ARGV[5])
  end
  redis.call('HDEL', KEYS[1], 'lost')
elseif action == 'hold' then -- so that an older copy of this Redis, from while it is filled in, is known as such
  seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {fine and 1 or 0, id, seq}
