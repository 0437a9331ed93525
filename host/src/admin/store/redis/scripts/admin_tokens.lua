-- All tokens. Returns {{name, JSON, ...}, {name, hour of its last use, ...}}.
return { redis.call('HGETALL', base .. 'tokens'), redis.call('HGETALL', base .. 'tokens:used') }
