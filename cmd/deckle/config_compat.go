package main

import (
	"log/slog"
	"math"
	"strings"
	"time"

	"deckle/proxy"
)

// compatSettings are the flags about pictures that are named by their bytes, and about clients of other systems.
type compatSettings struct {
	Namespaces  string `help:"Namespaces: first segments below which pictures are named by their bytes, and to which POST /NAME uploads; separated by commas, * for any. Image-server has * unless they are named." placeholder:"NAME,..."`
	UploadKeys  string `help:"Keys that uploads into namespaces, and those of c2c, may show in place of a signature, as Authorization: Bearer KEY; 16 bytes or more each, separated by commas." placeholder:"KEY,..."`
	OpenUploads bool   `help:"Let anybody upload into namespaces, and as c2c does, without a key or a signature."`
	SourcePorts string `default:"80,443" help:"Ports that POST /NAME?source=URL may fetch pictures from, separated by commas."`
	Compat      string `help:"Other systems whose clients are served, on the edge: image-server, c2c, image-storage; separated by commas." placeholder:"SYSTEM,..."`
	C2CSecret   string `name:"c2c-secret" help:"What clients of c2c show to publish, rotate and delete; nobody may without it." placeholder:"SECRET"`
	C2CSuffixes string `name:"c2c-suffixes" default:"BI=_1500_1500?quality=90;MI=_400_400?quality=90;SI=_200_200?fit=crop&quality=90" help:"What stands behind the keys of c2c, as presets are written: KEYMI.webp."`
	OpenLibrary bool   `help:"Let clients of image-storage see, upload, change and delete all pictures without a token, as that system does where it knows no issuer."`
	DemandAll   bool   `help:"Refuse clients of image-storage that change or delete pictures and do not say which, unless they say all=true."`
}

// compatibility is compatSettings, read.
type compatibility struct {
	imageServer, c2c bool
	imageStorage     bool
	openLibrary      bool // to its clients
	demandAll        bool // of them, to change all pictures
	secret           string
	open             bool
	keys             []string
	ports            []uint16 // that sources are fetched from
}

// minUploadKey is the length of the shortest key that is taken, bytes.
const minUploadKey = 16

// resolve reads the settings into the rules of URLs and the rest; faults are kept in r. Limits, rules and signatures were read
// before.
func (s *compatSettings) resolve(r *reader, c *configuration) compatibility {
	compat := compatibility{secret: s.C2CSecret, open: s.OpenUploads, openLibrary: s.OpenLibrary, demandAll: s.DemandAll, keys: list(s.UploadKeys)}
	for _, text := range list(s.SourcePorts) {
		compat.ports = append(compat.ports, uint16(r.number("source-ports", text, 0, math.MaxUint16)))
	}
	namespaces := list(s.Namespaces)
	for _, system := range list(s.Compat) {
		switch system {
		case "image-server":
			compat.imageServer = true
			if len(namespaces) == 0 {
				namespaces = []string{"*"}
			}
		case "c2c":
			compat.c2c = true
			s.resolveSuffixes(r, c)
		case systemImageStorage:
			compat.imageStorage = true
			if err := storageCredentials(); err != nil {
				r.fault("compat", system, "an environment that can be set: "+err.Error())
			}
		default:
			r.fault("compat", system, "image-server, c2c or image-storage")
		}
	}
	var err error
	if c.rules.Namespaces, err = proxy.ParseNamespaces(namespaces); err != nil {
		r.fault("namespaces", s.Namespaces, "names as in photos,avatars, or *: "+err.Error())
	}
	for _, key := range compat.keys {
		if len(key) < minUploadKey {
			r.fault("upload-keys", "****", "keys of 16 bytes or more, as deckle secret makes them")
		}
	}
	takes := len(namespaces) > 0 || compat.c2c
	switch {
	case (s.DemandAll || s.OpenLibrary) && !compat.imageStorage:
		r.fault("compat", s.Compat, "image-storage, as long as --open-library or --demand-all is set")
	case s.OpenUploads && !takes:
		r.fault("open-uploads", "true", "--namespaces or --compat beside it: nothing else takes uploads without a token")
	case s.OpenUploads && c.signed.Uploads:
		r.fault("open-uploads", "true", "no --signed uploads beside it: they are open, or they are signed")
	case s.UploadKeys != "" && !takes:
		r.fault("upload-keys", "****", "--namespaces or --compat beside it: uploads elsewhere need a token")
	case s.C2CSecret != "" && !compat.c2c:
		r.fault("c2c-secret", "****", "--compat c2c beside it")
	}
	return compat
}

func (s *compatSettings) resolveSuffixes(r *reader, c *configuration) {
	var err error
	if c.rules.Suffixes, err = proxy.ParseSuffixes(s.C2CSuffixes, c.limits.OutputSide); err != nil {
		r.fault("c2c-suffixes", s.C2CSuffixes, "as in BI=_1500_1500?quality=90;SI=_200_200?fit=crop: "+err.Error())
	}
}

// compatible adds to the edge's configuration what takes uploads without tokens.
func (n *node) compatible(c proxy.Config) proxy.Config {
	compat := n.config.compat
	c.Hashes, c.Admission, c.ImageServer = n.uploads, proxy.NewAdmission(compat.open, compat.keys), compat.imageServer
	if compat.c2c {
		c.C2C = &proxy.C2C{Grants: n.uploads, Keep: n.uploads, Secret: compat.secret, Now: time.Now}
	}
	if compat.open {
		n.log.Warn("anybody may upload pictures: --open-uploads is set", slog.String("into", strings.Join(n.takers(), ", ")))
	}
	return c
}

// takers names what takes uploads without tokens.
func (n *node) takers() []string {
	var names []string
	if n.config.rules.Namespaces.Some() {
		names = append(names, "namespaces")
	}
	if n.config.compat.c2c {
		names = append(names, "c2c")
	}
	return names
}
