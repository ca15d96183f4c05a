package main

import (
	"time"
)

// ingestSettings say what uploads have to stand, and how long sources are kept that nobody is served.
type ingestSettings struct {
	CheckUploads   bool   `help:"Decode every upload to its end, and refuse what is broken or truncated. A token's policy can ask for that by itself."`
	KeepMetadata   bool   `help:"Keep EXIF, XMP and comments in uploads, which may tell where a picture was taken. A token's policy can ask for that by itself."`
	UploadsPending string `default:"2h" help:"How long an upload waits to be published before it is removed."`
	Undelete       string `default:"0s" help:"How long deleted sources can be restored; 0s erases them at once."`
	UploadRate     int    `default:"0" help:"Uploads that one client may begin a minute; 0 is any number."`
}

// intake is ingestSettings, read and found good.
type intake struct {
	check, scrub      bool
	pending, undelete time.Duration
	rate              int
}

func (s *ingestSettings) resolve(r *reader) intake {
	in := intake{
		check: s.CheckUploads, scrub: !s.KeepMetadata, rate: s.UploadRate,
		pending: r.duration("uploads-pending", s.UploadsPending, time.Minute), undelete: r.duration("undelete", s.Undelete, 0),
	}
	if s.UploadRate < 0 {
		r.fault("upload-rate", "less than 0", "0 or more uploads a minute")
	}
	return in
}
