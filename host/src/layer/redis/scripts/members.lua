-- ARGV: group, and 1 where the caller knows that its module has it not remembered: what it was remembered by goes, so that
-- who comes back later is told of a gap. Returns {nodes, channels}; what is over is swept.
if ARGV[2] == '1' then redis.call('DEL', base .. 'position:' .. ARGV[1]) end
local nodes, channels = members_of(ARGV[1])
return { nodes, channels }
