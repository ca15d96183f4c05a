package proxy

import (
	"errors"
	"io"
	"mime/multipart"
)

// maxBeside bounds what a form holds beside its picture, bytes: other fields, and the headers of all parts. What stands before the
// picture is read before anything is known of who sends it, and a header is in memory as a whole.
const maxBeside = 64 << 10

// errBeside says that a form holds more than that.
var errBeside = errors.New("proxy: too much of the form is not its picture")

// pictureForm is a multipart body, one part of which is a picture.
type pictureForm struct {
	body  *beside
	parts *multipart.Reader
}

func newPictureForm(body io.Reader, boundary string) *pictureForm {
	bounded := &beside{body: body, left: maxBeside}
	return &pictureForm{bounded, multipart.NewReader(bounded, boundary)}
}

// next finds the next part of that name without reading ahead of it; other parts are passed over. The error is io.EOF at the end of
// the form, and errBeside beyond maxBeside.
func (f *pictureForm) next(name string) (*multipart.Part, error) {
	f.body.picture = false
	for {
		part, err := f.parts.NextRawPart()
		if err != nil {
			return nil, err
		}
		if part.FormName() == name {
			f.body.picture = true
			return part, nil
		}
	}
}

// beside reads a form, and of what is not its picture no more than left.
type beside struct {
	body    io.Reader
	left    int64 // bytes, give or take what the parser reads ahead
	picture bool  // the picture is being read
}

func (b *beside) Read(to []byte) (int, error) {
	if b.picture {
		return b.body.Read(to)
	}
	if b.left <= 0 {
		return 0, errBeside
	}
	n, err := b.body.Read(to[:min(int64(len(to)), b.left)])
	b.left -= int64(n)
	return n, err
}
