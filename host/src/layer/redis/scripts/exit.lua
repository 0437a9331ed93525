-- Connections of users are over. ARGV: for each the user's group and its reply channel. Returns 1.
even_without_memory()
for i = 1, #ARGV, 2 do redis.call('HDEL', base .. 'connections:' .. ARGV[i], ARGV[i + 1]) end
return 1
