-- ARGV: node, bytes that its inbox holds, entry. Returns "ok", "gone" or "full".
return deliver(ARGV[1], tonumber(ARGV[2]), ARGV[3])
