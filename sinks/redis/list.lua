-- Writes one list: a ZSET and its meta HASH, whole or as a delta, if it is newer than what is there.
-- KEYS: the ZSET, the HASH (same slot); on a single server with generations also the HASH that says which one is public.
-- ARGV: 1 start  2 revision  3 TTL in ms  4 "1" if the whole list comes, "0" for a delta
--       5 base start ("" if the writer remembers nothing)  6 base revision  7 base cardinality
--       8 cardinality from now on  9 how many members go  10 "1" if meta counts late events
--       11 end  12 watermark  13 final  14 updated_at  15 exact  16 max_error  17 duplicates
--       18 the writer's generation, "" without  19 as of what the ZSET is its place: on a single server the state that the third key must have, in a
--       cluster the epoch
--       then the members that go, then score and member of each one that comes or changes.
-- Returns 1 written, 2 it was there already, 3 refused: older than what is there,
--         4 send the whole list: it has another base, 5 the same, since Redis has lost something,
--         6 written, and Redis had lost something, 7 refused: this isn't the place of the generation's list, as of another state.
-- Start times compare as strings: RFC 3339 in UTC, all of one length.
local start, revision = ARGV[1], tonumber(ARGV[2])
local generation = ARGV[18]
if KEYS[3] and redis.call('HGET', KEYS[3], 'state') ~= ARGV[19] then
  return 7
end
local meta = redis.call('HMGET', KEYS[2], 'start', 'revision', 'generation', 'epoch')
local at_start, at_revision, at_generation = meta[1], tonumber(meta[2] or nil), meta[3]
local card = redis.call('ZCARD', KEYS[1])

if generation ~= '' then
  if not KEYS[3] and at_generation and (at_generation ~= generation or tonumber(meta[4] or 0) > tonumber(ARGV[19])) then
    return 7
  elseif (at_start or at_generation) and at_generation ~= generation then -- of a run without generations: no revision compares with it
    redis.call('UNLINK', KEYS[1], KEYS[2])
    at_start, at_revision, at_generation, card = false, nil, false, 0
  end
  -- While a generation is being activated, there is a journal of what comes meanwhile.
  if KEYS[3] and not at_generation and redis.call('EXISTS', KEYS[3] .. ':lists') == 1 then
    redis.call('SADD', KEYS[3] .. ':lists', string.match(KEYS[2], '^{(.*)}'))
  end
end

if at_revision and (at_start > start or at_start == start and at_revision > revision) then
  return 3
end

local lost, other = false, false
if ARGV[5] ~= '' then
  local base_start, base_revision, base_card = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
  if not at_revision or at_start < base_start then
    lost = true
  elseif at_start > base_start then
    other = true
  else
    lost = at_revision < base_revision or at_revision == base_revision and card ~= base_card
    other = at_revision > base_revision
  end
end

local function expire()
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end

if at_revision and at_start == start and at_revision == revision then
  if card == tonumber(ARGV[8]) and not lost then
    expire()
    return 2
  end
  lost = true
end

if ARGV[4] == '0' and (lost or other) then
  return lost and 5 or 4
end

-- HSET first: it is refused when memory is full, and then nothing has been written. After a command such as
-- ZREM, which needs no memory, Redis would let the script go on beyond maxmemory.
redis.call('HSET', KEYS[2], 'start', start, 'revision', ARGV[2], 'end', ARGV[11], 'watermark', ARGV[12],
  'final', ARGV[13], 'updated_at', ARGV[14], 'exact', ARGV[15], 'max_error', ARGV[16], 'duplicates', ARGV[17])
if generation ~= '' and KEYS[3] and not at_generation then
  redis.call('HSET', KEYS[2], 'generation', generation)
elseif generation ~= '' and not KEYS[3] and meta[4] ~= ARGV[19] then
  redis.call('HSET', KEYS[2], 'generation', generation, 'epoch', ARGV[19])
end
if not at_revision and ARGV[10] == '1' then
  redis.call('HSETNX', KEYS[2], 'late', '0')
end

-- Members come before others go, since a ZSET without members is gone, and while its slot moves to another
-- node, a script can't make it anew: it would end here, with half a list. (Nobody sees them all at once.)
-- unpack puts its values on a stack of limited size. The chunks are even, so that pairs stay together.
local function chunks(command, values, first, last)
  for i = first, last, 2000 do
    redis.call(command, KEYS[1], unpack(values, i, math.min(i + 1999, last)))
  end
end
local gone = 19 + tonumber(ARGV[9])
chunks('ZADD', ARGV, gone + 1, #ARGV)
expire()
if ARGV[4] == '0' then
  chunks('ZREM', ARGV, 20, gone)
elseif ARGV[8] == '0' then
  redis.call('UNLINK', KEYS[1])
elseif card > 0 and redis.call('ZCARD', KEYS[1]) ~= tonumber(ARGV[8]) then
  local stays, goes = {}, {}
  for i = gone + 2, #ARGV, 2 do
    stays[ARGV[i]] = true
  end
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if not stays[member] then
      goes[#goes + 1] = member
    end
  end
  chunks('ZREM', goes, 1, #goes)
end
return lost and 6 or 1
