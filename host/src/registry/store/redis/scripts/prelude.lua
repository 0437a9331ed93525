-- Before every script. KEYS[1] is the start of all keys of a partition, such as "tidegate:{0}:".
local base = KEYS[1]
local time = redis.call('TIME')
-- Microseconds of the server: no process's own clock is asked.
local now = time[1] * 1000000 + time[2]

-- Past this many milliseconds nobody needs a report that nobody has renewed.
local LAST_RESORT = 86400000
