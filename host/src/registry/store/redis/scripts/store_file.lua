-- The file of a version. ARGV: module, digest. Returns it, or nothing.
return redis.call('HGET', base .. 'files:' .. ARGV[1], ARGV[2])
