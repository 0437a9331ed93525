-- A node ends. ARGV: node. Returns whether that was all; if not, it is called again.
return forget_node(ARGV[1]) and 1 or 0
