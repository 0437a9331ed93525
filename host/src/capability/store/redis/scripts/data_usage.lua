-- ARGV: module. Returns number of commits, bytes, keys, parcels and timers.
local held = usage(ARGV[1])
return { held.number, held.bytes, held.keys, held.relayed, held.timers }
