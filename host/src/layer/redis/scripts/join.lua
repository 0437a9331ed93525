-- A connection joins: its node has members. ARGV: node, group. Returns the count that the join
-- entry carries, or -1 if nobody knows the node.
local node, group = ARGV[1], ARGV[2]
if not is_alive(node) then return -1 end
return join(node, group)
