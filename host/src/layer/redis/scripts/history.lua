-- Reads the history of a group. ARGV: group, epoch and offset of a position, latest messages where there is none,
-- most messages, most bytes, then the rule as in `remember`. The epoch is empty for no position, and `*` for the place
-- before the first message that is kept. Returns {epoch, offset before the first message, offset of the group's last
-- one, whether nothing is missing, {content, ...}}.
local latest, limit, bytes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
return page_of(ARGV[1], rule_at(7), ARGV[2], tonumber(ARGV[3]), latest, limit, bytes)
