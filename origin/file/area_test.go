package file_test

import (
	"testing"

	"deckle/origin"
	"deckle/origin/origintest"
)

func TestAreas(t *testing.T) { origintest.RunAreas(t, openStore(t, t.TempDir())) }

func TestAreasOfARoute(t *testing.T) {
	route, err := origin.NewRoute(origin.Rule{Store: openStore(t, t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	origintest.RunAreas(t, route)
}
