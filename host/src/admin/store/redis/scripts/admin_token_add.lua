-- Adds a token. ARGV: name, JSON, how many there may be. Returns "ok", "taken" or "full".
local tokens = base .. 'tokens'
if redis.call('HEXISTS', tokens, ARGV[1]) == 1 then return 'taken' end
if redis.call('HLEN', tokens) >= tonumber(ARGV[3]) then return 'full' end
redis.call('HSET', tokens, ARGV[1], ARGV[2])
return 'ok'
