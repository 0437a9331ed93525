-- ARGV: module, first place, how many at most. Returns parcels, each behind its place.
return redis.call('ZRANGEBYLEX', waiting_of(ARGV[1]), '[' .. ARGV[2], '+', 'LIMIT', 0, ARGV[3])
