-- Forgets a module. ARGV: module.
redis.call('HDEL', base .. 'modules', ARGV[1])
redis.call('DEL', base .. 'files:' .. ARGV[1])
redis.call('INCR', base .. 'changes')
return 1
