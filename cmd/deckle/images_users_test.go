package main

import (
	"fmt"
	"strings"
	"testing"

	"deckle/internal/testimage"
)

// TestImagesOfUsers: users have pictures of their own, see those of others where they are public, and change nothing else.
func TestImagesOfUsers(t *testing.T) {
	photo := testimage.JPEG(testimage.Photo(60, 40, 1), 85)
	const operators = "operators-key-of-16-bytes"
	for _, library := range libraries {
		t.Run(library.name, func(t *testing.T) {
			operator := caller{start(t, append(library.flags(t), "--data", t.TempDir(), "--api-keys", operators)...), operators}
			key := func(user, scopes string) caller {
				got := operator.want("POST", "/keys", fmt.Sprintf(`{"name": "k", "user": %q, "scopes": [%s]}`, user, scopes), 201)
				return caller{operator.daemon, into[struct{ Secret string }](t, got).Secret}
			}
			ann, bob := key("ann", `"read", "write", "upload"`), key("bob", `"read", "write", "upload"`)
			hers := ann.put(201, photo, "file", "cat.jpg", "private", "true")
			shown := ann.put(201, photo, "file", "dog.jpg", "color", "red")
			his := bob.put(201, photo, "file", "cat.jpg", "private", "true")
			if hers.Owner != "ann" || his.Owner != "bob" || hers.ID == his.ID {
				t.Fatalf("%+v, %+v", hers, his)
			}
			nobody := caller{operator.daemon, ""}
			for _, path := range []string{"/images", "/images/public", "/images/fields", "/images/" + hers.ID, "/images/" + shown.ID + "/file"} {
				nobody.want("GET", path, "", 401)
			}
			nobody.want("DELETE", "/images?all=true", "", 401)
			for _, method := range []string{"GET", "PATCH", "DELETE"} {
				bob.want(method, "/images/"+hers.ID, `{"name": "x"}`, 404, "There is no picture of that id.")
			}
			bob.want("GET", "/images/"+hers.ID+"/file", "", 404)
			bob.want("GET", "/images/"+shown.ID, "", 200)
			bob.want("GET", "/images/"+shown.ID+"/file", "", 200)
			bob.want("PATCH", "/images/"+shown.ID, `{"name": "x"}`, 404)
			bob.want("DELETE", "/images/"+shown.ID, "", 404)
			bob.put(404, photo, "id", shown.ID)
			bob.put(400, photo, "owner", "ann")
			for query, want := range map[string]string{
				"": "bob", "scope=own": "bob", "scope=public": "ann", "scope=all": "ann bob", "filter={%22owner%22:%22ann%22}": "", "ids=" + hers.ID + "," + his.ID: "bob",
			} {
				list := into[struct{ Images []storedImage }](t, bob.want("GET", "/images?sort=owner&"+query, "", 200))
				var owners []string
				for _, image := range list.Images {
					owners = append(owners, image.Owner)
				}
				if got := strings.Join(owners, " "); got != want {
					t.Errorf("bob sees by %q those of %q, want %q", query, got, want)
				}
			}
			bob.want("GET", "/images/fields", "", 200, `{"fields":[]}`)
			bob.want("GET", "/images/fields/owner", "", 200, `{"values":["bob"]}`)
			bob.want("PATCH", "/images?scope=all&all=true", `{"name": "x"}`, 400, "scope")
			bob.want("PATCH", "/images?ids="+shown.ID, `{"name": "x"}`, 200, `"matched":0`)
			bob.want("PATCH", "/images?all=true", `{"name": "x"}`, 200, `"matched":1`)
			testNumbersOfUsers(ann, bob, photo)
			bob.want("DELETE", "/images?all=true", "", 200, `"deleted":1`)
			reader := key("ann", `"read"`)
			reader.want("GET", "/images/"+hers.ID, "", 200, `"owner":"ann"`)
			reader.want("DELETE", "/images/"+hers.ID, "", 403)
			reader.put(403, photo)
			operator.want("GET", "/images?scope=all", "", 200, `"total":3`)
			operator.want("PATCH", "/images/"+hers.ID, `{"name": "by an operator"}`, 200, `"owner":"ann"`)
			if given := operator.put(200, photo, "id", hers.ID); given.Owner != "ann" || !given.Private {
				t.Errorf("replaced by an operator: %+v", given)
			}
			if given := operator.put(201, photo, "owner", "bob", "file", "gift.jpg"); given.Owner != "bob" {
				t.Errorf("given away: %+v", given)
			}
		})
	}
}

func testNumbersOfUsers(ann, bob caller, photo []byte) {
	t := ann.t
	upload := into[struct {
		Uploads []struct {
			ID  string
			Put *way
		}
	}](t, ann.want("POST", "/images/uploads", `{"count": 1}`, 200)).Uploads[0]
	if got := ann.use(upload.Put, photo); got.status >= 300 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	body := `{"images": [{"id": "` + upload.ID + `"}]}`
	bob.want("POST", "/images/confirm", body, 404)
	ann.want("POST", "/images/confirm", body, 200, `"owner":"ann"`)
	bob.want("POST", "/images/confirm", body, 404)
}
