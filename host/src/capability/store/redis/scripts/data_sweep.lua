-- Takes away some of what has expired of one module. Returns how many rows that were.
local module = redis.call('ZRANGEBYSCORE', base .. 'store:due', '-inf', digits(now), 'LIMIT', 0, 1)[1]
if not module then return 0 end
return sweep(module)
