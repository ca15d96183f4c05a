package main

import (
	"strconv"
	"time"
)

// maxUploadSlots is far more than one node's network and disks receive faster than one after another.
const maxUploadSlots = 1024

// ingestSettings say what uploads have to stand, and how long sources are kept that nobody is served.
type ingestSettings struct {
	CheckUploads   bool   `help:"Decode every upload to its end, and refuse what is broken or truncated. A token's policy can ask for that by itself."`
	KeepMetadata   bool   `help:"Keep EXIF, XMP and comments in uploads, which may tell where a picture was taken. A token's policy can ask for that by itself."`
	UploadsPending string `default:"2h" help:"How long an upload waits to be published before it is removed."`
	Undelete       string `default:"0s" help:"How long deleted sources can be restored; 0s erases them at once."`
	UploadRate     int    `default:"0" help:"Uploads that one client may begin a minute; 0 is any number."`
	UploadSlots    int    `default:"8" help:"Uploads that are received at one time; one more waits two seconds for one of them to end before it is refused."`
}

// intake is ingestSettings, read and found good.
type intake struct {
	check, scrub      bool
	pending, undelete time.Duration
	rate, slots       int
}

func (s *ingestSettings) resolve(r *reader) intake {
	in := intake{
		check: s.CheckUploads, scrub: !s.KeepMetadata, rate: s.UploadRate, slots: s.UploadSlots,
		pending: r.duration("uploads-pending", s.UploadsPending, time.Minute), undelete: r.duration("undelete", s.Undelete, 0),
	}
	if s.UploadRate < 0 {
		r.fault("upload-rate", "less than 0", "0 or more uploads a minute")
	}
	if s.UploadSlots < 1 || s.UploadSlots > maxUploadSlots {
		r.fault("upload-slots", strconv.Itoa(s.UploadSlots), "1 to 1024 uploads at one time")
	}
	return in
}
