package redis

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// The client's limits beside the deadlines of calls.
const (
	dialTimeout = 200 * time.Millisecond
	poolSize    = 32 // connections: how many calls wait for the server at the same time
	noRetries   = -1 // 0 would stand for the client's default of three
	noPool      = -1 // 0 would open connections of their own for transactions
)

// Connect returns a client for an installation of any kind, with the deadlines of this tier; see New for address. It
// connects when it is first used. Who calls this closes it.
func Connect(address string) (goredis.UniversalClient, error) { return connect(address, setTimeout) }

// connect is Connect with a bound of one read or write, and of the wait for a connection; calls with earlier deadlines end
// earlier.
func connect(address string, within time.Duration) (goredis.UniversalClient, error) {
	o, err := parse(address)
	if err != nil {
		return nil, fmt.Errorf("redis URL: %w", withoutURL(err))
	}
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = dialTimeout, within, within, within
	o.MaxRetries, o.DialerRetries = noRetries, 1
	o.PoolSize, o.MaxActiveConns, o.PipelinePoolSize = poolSize, poolSize, noPool
	// Both would cost commands on every new connection, and neither serves a cache.
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return goredis.NewUniversalClient(o), nil
}

// parse reads what an address says: the kind of installation from its scheme, where it is and how to log in. Settings of
// the client that it may hold beside these are overruled by Connect.
func parse(address string) (*goredis.UniversalOptions, error) {
	kind, address := splitScheme(address)
	switch kind {
	case "":
		o, err := goredis.ParseURL(address)
		if err != nil {
			return nil, err
		}
		if o.Network != "tcp" {
			return nil, errors.New("only redis:// and rediss:// are known")
		}
		return &goredis.UniversalOptions{
			Addrs: []string{o.Addr}, DB: o.DB, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		}, nil
	case "sentinel":
		o, err := goredis.ParseFailoverURL(address)
		if err != nil {
			return nil, err
		}
		if o.MasterName == "" {
			return nil, errors.New("redis+sentinel needs master_name")
		}
		return &goredis.UniversalOptions{
			Addrs: o.SentinelAddrs, MasterName: o.MasterName, DB: o.DB, TLSConfig: o.TLSConfig,
			Username: o.Username, Password: o.Password,
			SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
		}, nil
	case "cluster":
		o, err := goredis.ParseClusterURL(address)
		if err != nil {
			return nil, err
		}
		return &goredis.UniversalOptions{
			Addrs: o.Addrs, IsClusterMode: true, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		}, nil
	}
	return nil, errors.New("beside redis:// and rediss:// only redis+sentinel:// and redis+cluster:// are known")
}

// splitScheme takes the kind of installation out of a scheme: "redis+sentinel://x" gives "sentinel" and "redis://x".
func splitScheme(address string) (kind, plain string) {
	scheme, rest, found := strings.Cut(address, "://")
	base, kind, plus := strings.Cut(scheme, "+")
	if !found || !plus {
		return "", address
	}
	return kind, base + "://" + rest
}

// withoutURL drops the URL that net/url quotes in its errors: it may hold a password.
func withoutURL(err error) error {
	var quoting *url.Error
	if errors.As(err, &quoting) {
		return quoting.Err
	}
	return err
}
