package admin

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// maxPatchRequest bounds a change of many pictures, bytes.
const maxPatchRequest = 256 << 10

// routeImages adds the library: pictures with what is said of them.
func (a *Admin) routeImages(d *api) {
	if a.Images == nil {
		return
	}
	a.routeImageList(d)
	a.routeImageChanges(d)
	a.routeImageUploads(d)
}

// libraryOperation is one of /images.
func libraryOperation(method, path, id, summary, text string, errors ...int) huma.Operation {
	op := operation(method, path, id, "images", summary, text, append(errors, forbid, away)...)
	op.MaxBodyBytes = maxPatchRequest
	return op
}

// queried describes the query of an operation, which reads it itself: the names of data are the client's own.
func queried(op huma.Operation, names func(queryName) bool) huma.Operation {
	op.RejectUnknownQueryParameters = false
	for _, n := range queryNames {
		if names(n) {
			query(n.name, n.kind, n.text)(&op)
		}
	}
	query("data.x", "string", "The text that data has at x, which may be a dotted path; any number of these. Numbers are asked for by filter.")(&op)
	return op
}

func (a *Admin) routeImageList(d *api) {
	lists := func(n queryName) bool { return n.name != "all" }
	meant := func(n queryName) bool { return !n.pages && n.name != "all" }
	huma.Register(d, queried(libraryOperation(http.MethodGet, "/images", "images", "List pictures", "Of those whom the caller sees, all that fit everything that is asked."), lists), a.listImages)
	huma.Register(d, libraryOperation(http.MethodGet, "/images/public", "publicImages", "List public pictures", "The newest first."), a.publicImages)
	huma.Register(d, queried(libraryOperation(http.MethodGet, "/images/fields", "imageFields", "List the names in data", ""), meant), a.imageFields)
	huma.Register(d, queried(libraryOperation(http.MethodGet, "/images/fields/{path}", "imageValues", "List the values at a path", ""), meant), a.imageValues)
	huma.Register(d, libraryOperation(http.MethodGet, imagesPath, "image", "One picture's record", "", missed), a.oneImage)
	file := describe(libraryOperation(http.MethodGet, imagesPath+"/file", "imageFile", "One picture's stored bytes", "", missed), imageInPath, func(op *huma.Operation) {
		op.Responses[strconv.Itoa(http.StatusOK)] = &huma.Response{Description: "The bytes, as an attachment", Content: map[string]*huma.MediaType{
			"image/*": {Schema: &huma.Schema{Type: "string", Format: "binary"}},
		}}
	})
	// Not with /file in its end, which /images/fields/{path} would be in conflict with.
	d.mux.Handle(http.MethodGet+" "+imagesPath+"/{part}", a.guarded(strict(file, a.imageFile)))
	d.describe(file)
}

func (a *Admin) routeImageChanges(d *api) {
	meant := func(n queryName) bool { return !n.pages }
	text := "All that fit everything that is asked; users change nothing but their own."
	huma.Register(d, queried(libraryOperation(http.MethodPatch, "/images", "patchImages", "Change pictures", text, conflict, large), meant), a.patchImages)
	huma.Register(d, queried(libraryOperation(http.MethodDelete, "/images", "deleteImages", "Delete pictures", text+" Bytes, records, and every rendering in every tier."), meant), a.deleteImages)
	huma.Register(d, libraryOperation(http.MethodPatch, imagesPath, "patchImage", "Change a picture", "", missed, conflict, large), a.patchImage)
	remove := libraryOperation(http.MethodDelete, imagesPath, "deleteImage", "Delete a picture", "", missed)
	remove.DefaultStatus = http.StatusNoContent
	huma.Register(d, remove, a.deleteImage)
}

func (a *Admin) routeImageUploads(d *api) {
	refusals := []int{conflict, large, missed, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusInsufficientStorage}
	upload := libraryOperation(http.MethodPost, "/images", "putImage", "Upload a picture",
		"As the part image of a form, or as the body with the fields in the query. A picture of the same owner and file, or of the id, is replaced: bytes, data and time.", refusals...)
	fields := []struct{ name, text string }{
		{"file", "Path-like name; an owner has one picture of each."}, {"id", "Its id; 24 hexadecimal digits are minted without it."},
		{"time", "When the picture is of; now without it."}, {"name", "For people."}, {"tags", "With commas between them, or a JSON array."},
		{"private", "Whether viewers need a signed URL."}, {"owner", "Whose it is; users bring in their own."}, {"data", "A JSON object. Without it, and without json, which is the same, all other fields are data."},
	}
	form := &huma.Schema{Type: "object", Required: []string{"image"}, Properties: map[string]*huma.Schema{"image": {Type: "string", Format: "binary"}}}
	parts := []part{d.answer(http.StatusCreated, "A new picture", imageAnswer{}), d.answer(http.StatusOK, "The picture took the place of another", imageAnswer{})}
	for _, f := range fields {
		form.Properties[f.name] = &huma.Schema{Type: "string", Description: f.text}
		parts = append(parts, query(f.name, "string", "Of a bare body: "+f.text))
	}
	body := func(op *huma.Operation) {
		op.RequestBody.Content["multipart/form-data"] = &huma.MediaType{Schema: form}
	}
	upload.RejectUnknownQueryParameters = false // data of any name may be in it
	d.plain("POST /images", a.putImage, describe(upload, append(parts, binaryBody, body)...))
	if a.Bulk == nil {
		return
	}
	huma.Register(d, libraryOperation(http.MethodPost, "/images/uploads", "allowUploads", "Allow many uploads", "Each is one PUT to a URL of the edge, or of the store itself.", large), a.allowUploads)
	confirm := libraryOperation(http.MethodPost, "/images/confirm", "confirmImages", "Publish what was uploaded",
		"Each picture for itself: with all that is said of it, or not at all. It may be repeated.", slices.Concat(refusals, []int{http.StatusTooManyRequests})...)
	confirm.MaxBodyBytes = maxConfirms * (maxPatchRequest / 8)
	huma.Register(d, d.several(confirm, confirmedAnswer{}), a.confirmImages)
}

func imageInPath(op *huma.Operation) {
	pathParameter("image", "The id; a slash in it is written %2F.")(op)
}
