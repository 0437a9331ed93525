-- A connection joins a group that is remembered, from a position on. ARGV: node, group, epoch and offset of the
-- position, latest messages in its place, most messages, most bytes, then the rule as in `remember`. The epoch is
-- empty for no position. Returns {count as in `join`, {epoch, offset before the first message, offset of the last one,
-- whether nothing is missing, {content, ...}}}: all messages behind the position, or the latest.
local node, group, epoch, offset = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local latest, limit, bytes, rule = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), rule_at(8)
local count = is_alive(node) and join(node, group) or -1
local page = page_of(group, rule, epoch, offset, latest, limit, bytes)
local missed = 0
for _, content in ipairs(page[5]) do missed = missed + #content + REMEMBERED end
if page[2] + #page[5] < page[3] or missed > bytes then
    -- All or nothing: what is too much to catch up with counts as gone.
    page = page_of(group, rule, '-', 0, latest, limit, bytes)
end
return { count, page }
