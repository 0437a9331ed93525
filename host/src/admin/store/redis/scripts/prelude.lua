-- Before every script. KEYS[1] is the start of all keys of a partition, such as "tidegate:{0}:".
local base = KEYS[1]
