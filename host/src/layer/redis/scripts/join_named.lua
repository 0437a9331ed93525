-- A named channel joins, or renews. ARGV: group, channel, life of the membership in microseconds.
local key = base .. 'group:' .. ARGV[1]
redis.call('HSET', key, 'channel ' .. ARGV[2], string.format('%.0f', now + tonumber(ARGV[3])))
local keep = math.ceil(ARGV[3] / 1000) + LAST_RESORT
keep_for(key, keep)
redis.call('SADD', base .. 'groups', ARGV[1])
keep_for(base .. 'groups', keep)
return 1
