-- ARGV: run. Returns the number of its commit, or "void": then it does not commit any more.
local run = base .. 'store:run:' .. ARGV[1]
local known = redis.call('GET', run)
if known then return known end
redis.call('SET', run, 'void', 'PX', RUN_KEPT)
return 'void'
