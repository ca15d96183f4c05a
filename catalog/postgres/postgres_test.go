package postgres

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"deckle/catalog"
	"deckle/catalog/catalogtest"
	"deckle/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func opened(t testing.TB, address string) *catalog.Catalog {
	t.Helper()
	c, err := Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // some tests close it themselves
	return c
}

// TestLaws runs every law on one server, a database each.
func TestLaws(t *testing.T) {
	server := testserver.Postgres(t)
	empty := func(t *testing.T) *catalog.Catalog { return opened(t, server.Database(t)) }
	t.Run("records and grants", func(t *testing.T) { catalogtest.Run(t, empty) })
	t.Run("outbox", func(t *testing.T) { catalogtest.RunOutbox(t, empty) })
	t.Run("library", func(t *testing.T) { catalogtest.RunLibrary(t, empty) })
	t.Run("opened together", func(t *testing.T) { testOpenTogether(t, server.Database(t)) })
	t.Run("a crash", func(t *testing.T) { testCrash(t, server) })
}

// testOpenTogether opens a new database from several nodes at once.
func testOpenTogether(t *testing.T, address string) {
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			c, err := Open(t.Context(), address)
			if err != nil {
				t.Error(err)
				return
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// testCrash lets the server crash under a catalog: it says so at once, and works again when the server does.
func testCrash(t *testing.T, server *testserver.PostgresServer) {
	c := opened(t, server.Database(t))
	g := catalog.Grant{TokenHash: "hash", ID: "cat", Expires: time.Now().Add(time.Minute)}
	if err := c.Issue(t.Context(), g, time.Now()); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	begin := time.Now()
	_, readErr := c.Grant(t.Context(), "hash", "cat", time.Now())
	writeErr := c.Issue(t.Context(), catalog.Grant{TokenHash: "other", ID: "dog", Expires: time.Now().Add(time.Minute)}, time.Now())
	if !errors.Is(readErr, catalog.ErrUnavailable) || !errors.Is(writeErr, catalog.ErrUnavailable) {
		t.Errorf("while it is away: %v, %v", readErr, writeErr)
	}
	if took := time.Since(begin); took > 11*time.Second {
		t.Errorf("that was found out in %v", took)
	}
	server.Start()
	if _, err := c.Grant(t.Context(), "hash", "cat", time.Now()); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

// TestOpenFaults: an address that is none is refused without its password, and a server that is not there is ErrUnavailable.
func TestOpenFaults(t *testing.T) {
	_, err := Open(t.Context(), "postgres://user:hunter2@host:port/x")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("no address: %v", err)
	}
	_, err = Open(t.Context(), "postgres://user:hunter2@127.0.0.1:1/x?connect_timeout=1")
	if !errors.Is(err, catalog.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("nobody there: %v", err)
	}
}
