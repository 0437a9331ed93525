-- ARGV: for each entry node, bytes that its inbox holds, entry. Returns for each "ok", "gone", "full"
-- or what is wrong with the inbox.
local outcomes = {}
for i = 1, #ARGV, 3 do
    outcomes[#outcomes + 1] = guarded(deliver, ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2])
end
return outcomes
