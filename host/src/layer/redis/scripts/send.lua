-- ARGV: for each message channel, capacity, life in microseconds, payload. Returns for each "ok",
-- "full" or what is wrong with the channel, and how many entries had expired.
local outcomes = {}
for i = 1, #ARGV, 4 do
    local life, payload = tonumber(ARGV[i + 2]), ARGV[i + 3]
    local outcome, expired = guarded(push, ARGV[i], tonumber(ARGV[i + 1]), life, payload)
    outcomes[#outcomes + 1] = outcome
    outcomes[#outcomes + 1] = expired or 0
end
return outcomes
