-- Notes the use of a token, if it is still there. ARGV: name, hour. Returns 1.
if redis.call('HEXISTS', base .. 'tokens', ARGV[1]) == 1 then
    redis.call('HSET', base .. 'tokens:used', ARGV[1], ARGV[2])
end
return 1
