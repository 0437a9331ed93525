-- The file of a version, or one that is offered. ARGV: module, digest. Returns it, or nothing.
return redis.call('HGET', base .. 'files:' .. ARGV[1], ARGV[2])
    or redis.call('HGET', base .. 'offered:' .. ARGV[1], ARGV[2])
