-- ARGV: channel, capacity, life in microseconds, payload. Returns {taken, expired}.
local taken, expired = push(ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4])
return { taken and 1 or 0, expired }
