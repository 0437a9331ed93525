-- ARGV: format and number of partitions, as "1 8". Returns what the store has, which is that if it has
-- none yet.
local key = base .. 'store:layout'
local found = redis.call('GET', key)
if found then return found end
redis.call('SET', key, ARGV[1])
return ARGV[1]
