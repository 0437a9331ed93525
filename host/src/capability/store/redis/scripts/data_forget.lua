-- ARGV: module, then for each parcel its place and the next one. Returns how many there were.
local forgotten = 0
for i = 2, #ARGV, 2 do
    forgotten = forgotten
        + redis.call('ZREMRANGEBYLEX', waiting_of(ARGV[1]), '[' .. ARGV[i], '(' .. ARGV[i + 1])
end
if forgotten > 0 then redis.call('HINCRBY', usage_of(ARGV[1]), 'relayed', -forgotten) end
return forgotten
