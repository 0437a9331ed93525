-- Revokes a token. ARGV: name. Returns 1, or 0 if there is none.
redis.call('HDEL', base .. 'tokens:used', ARGV[1])
return redis.call('HDEL', base .. 'tokens', ARGV[1])
