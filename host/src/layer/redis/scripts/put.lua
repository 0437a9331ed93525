-- ARGV: node. Returns {entries that were put into its inbox, entries that are in it}.
local node = ARGV[1]
return { tonumber(redis.call('GET', base .. 'put:' .. node)) or 0, redis.call('LLEN', base .. 'inbox:' .. node) }
