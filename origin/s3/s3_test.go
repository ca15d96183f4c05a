package s3_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"deckle/internal/testserver"
	"deckle/origin"
	"deckle/origin/origintest"
	"deckle/origin/s3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openStore(t *testing.T, url string) *s3.Store {
	t.Helper()
	s, err := s3.New(t.Context(), url)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestLaws(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	origintest.RunStore(t, func(t *testing.T) origin.Store {
		return openStore(t, server.URL(server.Bucket(t)))
	}, origintest.LateInfo) // it keeps an ETag beside the file that it is of, and not with it
}

// TestLawsOfFake runs nesting too, which the real server, keeping objects as files, refuses, and holds answers to be of one upload.
func TestLawsOfFake(t *testing.T) {
	open := func(t *testing.T) origin.Store {
		_, url := newFake(t)
		return openStore(t, url)
	}
	origintest.RunStore(t, open)
	origintest.RunNesting(t, open)
}

// TestServerGone kills the server and brings it back.
func TestServerGone(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	s := openStore(t, server.URL(server.Bucket(t)))
	commit(t, s, "cat", "cat")
	server.Stop()
	if _, err := s.Stat(t.Context(), "cat"); !errors.Is(err, origin.ErrUnavailable) {
		t.Errorf("Stat: %v, want ErrUnavailable", err)
	}
	if _, err := s.Open(t.Context(), "cat", origin.Range{}); !errors.Is(err, origin.ErrUnavailable) {
		t.Errorf("Open: %v, want ErrUnavailable", err)
	}
	if _, err := tryCommit(t, s, "dog", "dog", false); !errors.Is(err, origin.ErrUnavailable) {
		t.Errorf("Commit: %v, want ErrUnavailable", err)
	}
	if err := s.Delete(t.Context(), "cat"); !errors.Is(err, origin.ErrUnavailable) {
		t.Errorf("Delete: %v, want ErrUnavailable", err)
	}
	server.Start()
	if _, err := s.Stat(t.Context(), "cat"); err != nil {
		t.Errorf("Stat after the server came back: %v", err)
	}
}

// TestServerHangs holds the time limits against a server that accepts and says nothing.
func TestServerHangs(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	s := openStore(t, server.URL(server.Bucket(t)))
	commit(t, s, "cat", "cat")
	server.Pause()
	defer server.Resume()
	began := time.Now()
	_, err := s.Stat(t.Context(), "cat")
	if took := time.Since(began); !errors.Is(err, origin.ErrUnavailable) || took > 4*time.Second {
		t.Errorf("Stat: %v after %v, want ErrUnavailable after 2 s", err, took)
	}
}

func TestNoBucket(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	s := openStore(t, server.URL("nowhere"))
	if _, err := s.Open(t.Context(), "cat", origin.Range{}); !errors.Is(err, origin.ErrUnavailable) {
		t.Errorf("Open: %v, want ErrUnavailable", err)
	}
	if _, err := tryCommit(t, s, "cat", "cat", false); !errors.Is(err, origin.ErrUnavailable) {
		t.Errorf("Commit: %v, want ErrUnavailable", err)
	}
}

func TestHostileIDsAreNotAsked(t *testing.T) {
	fake, url := newFake(t)
	s := openStore(t, url)
	for _, id := range origintest.HostileIDs() {
		if _, err := s.Stat(t.Context(), id); !errors.Is(err, origin.ErrBadID) {
			t.Errorf("Stat(%q): %v", id, err)
		}
		if _, err := tryCommit(t, s, id, "x", true); !errors.Is(err, origin.ErrBadID) {
			t.Errorf("Commit(%q): %v", id, err)
		}
		if err := s.Delete(t.Context(), id); !errors.Is(err, origin.ErrBadID) {
			t.Errorf("Delete(%q): %v", id, err)
		}
	}
	if len(fake.asked) > 0 {
		t.Errorf("the server was asked: %v", fake.asked)
	}
}

func TestKeys(t *testing.T) {
	fake, url := newFake(t)
	s := openStore(t, url)
	for _, id := range []string{"cat", "a/b~c", "straße/ü"} {
		commit(t, s, id, id)
	}
	want := map[string]string{"pre/fix/cat": "cat", "pre/fix/a/b~c": "a/b~c", "pre/fix/straße/ü": "straße/ü"}
	if diff := cmp.Diff(want, fake.keys()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

// TestUnknownOutcome loses the answers to puts that were carried out, and to puts that were not.
func TestUnknownOutcome(t *testing.T) {
	isPut := func(r *http.Request) bool { return r.Method == http.MethodPut }
	internalError := func(w http.ResponseWriter, r *http.Request) bool {
		if isPut(r) {
			refuse(w, http.StatusInternalServerError, "InternalError")
		}
		return isPut(r)
	}
	hangUp := func(_ http.ResponseWriter, r *http.Request) bool {
		if isPut(r) {
			panic(http.ErrAbortHandler)
		}
		return false
	}
	tests := []struct {
		name          string
		before, after func(http.ResponseWriter, *http.Request) bool
		stored        bool
	}{
		{"500 after storing", nil, internalError, true},
		{"500 instead of storing", internalError, nil, false},
		{"hung up after storing", nil, hangUp, true},
		{"hung up instead of storing", hangUp, nil, false},
	}
	for _, test := range tests {
		for _, replace := range []bool{false, true} {
			t.Run(test.name, func(t *testing.T) {
				fake, url := newFake(t)
				fake.before, fake.after = test.before, test.after
				s := openStore(t, url)
				committed, err := tryCommit(t, s, "cat", "cat", replace)
				if !test.stored {
					if !errors.Is(err, origin.ErrUnavailable) {
						t.Errorf("Commit: %v, want ErrUnavailable", err)
					}
					if puts := fake.count(http.MethodPut); puts != 3 {
						t.Errorf("%d puts, want 3", puts)
					}
					return
				}
				if info, statErr := s.Stat(t.Context(), "cat"); err != nil || statErr != nil || info != committed {
					t.Errorf("Commit = %+v, %v; Stat = %+v, %v", committed, err, info, statErr)
				}
			})
		}
	}
}

// TestLostToAnother answers an error to a put whose key holds another upload of the same bytes.
func TestLostToAnother(t *testing.T) {
	fake, url := newFake(t)
	s := openStore(t, url)
	commit(t, s, "cat", "cat")
	fake.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			refuse(w, http.StatusInternalServerError, "InternalError")
		}
		return r.Method == http.MethodPut
	}
	if _, err := tryCommit(t, s, "cat", "cat", false); !errors.Is(err, origin.ErrUnavailable) {
		t.Errorf("Commit: %v, want ErrUnavailable", err)
	}
}

// TestConflict answers 409, as S3 does while another conditional put to the key is under way.
func TestConflict(t *testing.T) {
	fake, url := newFake(t)
	var conflicts atomic.Int64
	fake.before = func(w http.ResponseWriter, r *http.Request) bool {
		conflict := r.Method == http.MethodPut && conflicts.Add(-1) >= 0
		if conflict {
			refuse(w, http.StatusConflict, "ConditionalRequestConflict")
		}
		return conflict
	}
	s := openStore(t, url)
	conflicts.Store(2)
	if _, err := tryCommit(t, s, "cat", "cat", false); err != nil {
		t.Errorf("Commit after two conflicts: %v", err)
	}
	conflicts.Store(1)
	if _, err := tryCommit(t, s, "cat", "dog", false); !errors.Is(err, origin.ErrExists) {
		t.Errorf("Commit after a conflict that the other one won: %v, want ErrExists", err)
	}
	conflicts.Store(100)
	if _, err := tryCommit(t, s, "dog", "dog", false); !errors.Is(err, origin.ErrUnavailable) {
		t.Errorf("Commit in endless conflict: %v, want ErrUnavailable", err)
	}
}

// TestBrokenBodies cuts objects short and alters them on the way.
func TestBrokenBodies(t *testing.T) {
	tests := []struct {
		name  string
		after func(http.ResponseWriter, *http.Request) bool
		want  error
	}{
		{"short", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "cat")
			return true
		}, io.ErrUnexpectedEOF},
		{"altered", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("X-Amz-Checksum-Sha256", "d6i9pYhpFmSvlq9tyU4uQYtXrs0bLvDsqg0b1rJ6XRk=")
			_, _ = io.WriteString(w, "bat")
			return true
		}, origin.ErrUnavailable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fake, url := newFake(t)
			s := openStore(t, url)
			commit(t, s, "cat", "cat")
			fake.after = test.after
			object, err := s.Open(t.Context(), "cat", origin.Range{})
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			body, err := io.ReadAll(object.Body)
			if !errors.Is(err, test.want) || !errors.Is(err, origin.ErrUnavailable) {
				t.Errorf("%q, %v; want %v", body, err, test.want)
			}
			if err := object.Body.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

func TestLocalFilesGo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	fake, url := newFake(t)
	s := openStore(t, url)
	commit(t, s, "cat", "cat")
	if _, err := tryCommit(t, s, "cat", "dog", false); !errors.Is(err, origin.ErrExists) {
		t.Errorf("Commit: %v, want ErrExists", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	fake.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			cancel()
		}
		return false
	}
	staged, err := s.Stage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = staged.Commit(ctx, "dog", false)
	if stored := fake.keys()["pre/fix/dog"]; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("a Commit left in the middle: %v, stored %q", err, stored)
	}
	if err := staged.Abort(); err != nil {
		t.Errorf("Abort: %v", err)
	}
	if litter, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(litter) > 0 {
		t.Errorf("left behind: %v, %v", litter, err)
	}
	t.Setenv("TMPDIR", filepath.Join(dir, "nowhere"))
	if _, err := s.Stage(t.Context()); !errors.Is(err, origin.ErrUnavailable) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stage without a place: %v, want ErrUnavailable", err)
	}
}

func TestURL(t *testing.T) {
	for _, url := range []string{
		"", "bucket", "http://bucket/", "s3://", "s3:///prefix", "s3://bucket:80/", "s3://user:secret@bucket/", "s3://bucket/#x",
		"s3://bucket/?endpoint=localhost", "s3://bucket/?endpoint=ftp://host", "s3://bucket/?endpoint=http://a:b@host",
		"s3://bucket/?path_style=perhaps", "s3://bucket/?acl=public", "s3://bucket/?a=%zz", "s3://bucket/%zz",
	} {
		if _, err := s3.New(t.Context(), url); err == nil {
			t.Errorf("New(%q): no error", url)
		}
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	if _, err := s3.New(t.Context(), "s3://bucket"); err == nil || !strings.Contains(err.Error(), "region=") {
		t.Errorf("New without a region: %v", err)
	}
	for _, url := range []string{
		"s3://bucket/?region=eu-central-1", "s3://bucket/a/b/?region=eu-central-1", "s3://bucket?endpoint=http://localhost:1",
	} {
		s, err := s3.New(t.Context(), url)
		if err != nil {
			t.Errorf("New(%q): %v", url, err)
			continue
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func commit(t *testing.T, s *s3.Store, id, body string) {
	t.Helper()
	if _, err := tryCommit(t, s, id, body, false); err != nil {
		t.Fatalf("Commit(%q): %v", id, err)
	}
}

func tryCommit(t *testing.T, s *s3.Store, id, body string, replace bool) (origin.Info, error) {
	t.Helper()
	staged, err := s.Stage(t.Context())
	if err != nil {
		t.Fatalf("Stage: %v", err)
	}
	defer func() {
		if err := staged.Abort(); err != nil {
			t.Errorf("Abort: %v", err)
		}
	}()
	if _, err := io.WriteString(staged, body); err != nil {
		t.Fatalf("Write: %v", err)
	}
	return staged.Commit(t.Context(), id, replace)
}
