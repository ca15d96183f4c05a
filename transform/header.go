package transform

// Header is what a source declares of itself, read in Go before any decoder sees the bytes.
type Header struct {
	Format      Format // never Source or Auto
	Width       int    // pixels as stored, before Orientation
	Height      int    // pixels as stored, before Orientation
	Frames      int    // 1 for a still picture
	Pages       int    // what page can ask for: a TIFF's pages, else Frames; HEIF files may have more than is counted here
	Orientation int    // EXIF orientation 1-8; 1 when absent
	Alpha       bool   // the file says that it holds transparency
	Progressive bool   // JPEG: in scans that each refine the whole picture
	Quality     int    // JPEG: quality 1-100 estimated from the luminance table; 0 elsewhere
}

// Upright returns the picture's size as a viewer sees it, pixels.
func (h Header) Upright() (width, height int) {
	if h.Orientation >= 5 {
		return h.Height, h.Width
	}
	return h.Width, h.Height
}
