-- What scripts begin with that move lists between generations. A list is public at its key X and {X}:meta; generation N's is, while another one is
-- public, at {X}:gN and {X}:gN:meta, in the same slot.

-- Moves a list with its meta, which is there. Where there is one already, the one stays that was put there as of the later epoch, of the
-- same epoch the newer one: the other was left by a writer that didn't know yet what is active, and will write it again.
local function move(from, from_meta, from_there, to, to_meta, to_there, to_meta_there)
  if to_meta_there then
    local a = redis.call('HMGET', from_meta, 'epoch', 'start', 'revision')
    local b = redis.call('HMGET', to_meta, 'epoch', 'start', 'revision')
    local epochs = tonumber(a[1] or 0) - tonumber(b[1] or 0)
    local start_a, start_b = a[2] or '', b[2] or ''
    if epochs < 0 or epochs == 0 and (start_a < start_b or start_a == start_b and tonumber(a[3] or -1) <= tonumber(b[3] or -1)) then
      redis.call('UNLINK', from, from_meta)
      return
    end
  end
  if from_there then
    redis.call('RENAME', from, to)
  elseif to_there then
    redis.call('UNLINK', to)
  end
  redis.call('RENAME', from_meta, to_meta)
end

-- Which of these keys are there. Mostly it is all, or none.
local function there(...)
  local n, are = redis.call('EXISTS', ...), {}
  for i = 1, select('#', ...) do
    if n == 0 or n == select('#', ...) then
      are[i] = n > 0
    else
      are[i] = redis.call('EXISTS', (select(i, ...))) == 1
    end
  end
  return unpack(are)
end

-- Makes generation's list of a key public, and puts the one aside that is public now, if it is another one's. With an epoch (in a cluster, where that
-- stands in each meta) it notes that it was done as of then, and refuses if it was done as of a later one. Returns how many lists were moved, or
-- -2 where it refuses. It looks at all keys first: while their slot moves, a script ends where a key isn't here.
local function show(key, generation, epoch)
  local meta, own = '{' .. key .. '}:meta', '{' .. key .. '}:g' .. generation
  local own_meta = own .. ':meta'
  local at = redis.call('HMGET', meta, 'generation', 'epoch')
  local public = at[1]
  if epoch and tonumber(at[2] or 0) > epoch then
    return -2
  end
  local key_there, meta_there, own_there, own_meta_there = there(key, meta, own, own_meta)
  if meta_there and not public then -- written without generations
    return 0
  end
  local moved = 0
  if public and public ~= generation then
    local old = '{' .. key .. '}:g' .. public
    local old_meta = old .. ':meta'
    move(key, meta, key_there, old, old_meta, there(old, old_meta))
    if epoch then
      redis.call('HSET', old_meta, 'epoch', epoch)
    end
    key_there, meta_there, moved = false, false, 1
  end
  if own_meta_there then
    move(own, own_meta, own_there, key, meta, key_there, meta_there)
    meta_there, moved = true, moved + 1
  end
  if epoch and meta_there then
    redis.call('HSET', meta, 'epoch', epoch)
  end
  return moved
end

