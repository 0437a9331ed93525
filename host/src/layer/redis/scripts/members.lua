-- ARGV: group. Returns {nodes, channels}; what is over is swept.
local nodes, channels = members_of(ARGV[1])
return { nodes, channels }
