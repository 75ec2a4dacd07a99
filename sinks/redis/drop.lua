-- Deletes a generation's list of one key, unless the generation is public.
-- KEYS: the generation's own key, its meta; on a single server also the HASH that says which generation is public.
-- ARGV: 1 generation
-- Returns how many keys were deleted, -2 where the generation is public.
if KEYS[3] and redis.call('HGET', KEYS[3], 'generation') == ARGV[1] then
  return -2
end
return redis.call('UNLINK', KEYS[1], KEYS[2])
