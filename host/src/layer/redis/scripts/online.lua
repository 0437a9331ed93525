-- ARGV: the group of a user, how many connections to name at most. Returns {how many there are, {reply channel,
-- ...}}; those of nodes that are over do not count.
local came = connections_of(ARGV[1])
local some = {}
for i = 1, math.min(#came, tonumber(ARGV[2])) do some[i] = came[i].channel end
return { #came, some }
