package redis

import goredis "github.com/redis/go-redis/v9"

// What the take script says.
const (
	taken  = iota // the lease is the caller's
	others        // another holds it, for so many milliseconds more
	made          // it was done; the result follows
)

// Each script is one step for all who use the server. The keys of one script share a hash tag, hence a slot of a cluster.
var (
	// take: KEYS lease, result; ARGV holder, milliseconds. A holder that asks again, because it did not hear the answer, has
	// its lease still.
	takeScript = goredis.NewScript(`
local result = redis.call('GET', KEYS[2])
if result then return {2, result} end
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {1, redis.call('PTTL', KEYS[1])} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {0, 0}`)

	// keep: KEYS lease; ARGV holder, milliseconds. Answers whether the lease is the holder's still.
	keepScript = goredis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

	// end: KEYS lease, result; ARGV holder, channel, name, and, where there is a result, it and its milliseconds. A result is
	// kept although another has taken the lease over: it is the same work.
	endScript = goredis.NewScript(`
if ARGV[4] then redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5]) end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 0`)

	// beat: KEYS nodes; ARGV node or nothing, milliseconds after which a silent node is struck off. Answers the nodes that run, by the
	// server's clock.
	beatScript = goredis.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if ARGV[1] ~= '' then redis.call('ZADD', KEYS[1], now, ARGV[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
return redis.call('ZRANGE', KEYS[1], 0, -1)`)
)
