package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"deckle/admin"

	"github.com/alecthomas/kong"
)

// systemImageStorage is what --compat calls image-storage-service.
const systemImageStorage = "image-storage"

// storageVariables are the variables of image-storage-service that stand for settings of ours, by flag. They count for less than
// anything that is said in our own words. A token of that system is good whoever it is for, as long as its keys are the issuer's.
var storageVariables = map[string]func(variables) (string, error){
	"listen": func(v variables) (string, error) {
		if port := v("APP_PORT"); port != "" {
			return ":" + port, nil
		}
		return "", nil
	},
	"origin":        storageOrigin,
	"oidc-jwks-url": func(v variables) (string, error) { return v("OIDC_JWKS_URI"), nil },
	"oidc-issuer":   withTokens(func(v variables) string { return fallback(v("OIDC_ISSUER"), anything) }),
	"oidc-audience": withTokens(func(v variables) string { return fallback(v("OIDC_AUDIENCE"), anything) }),
	"user-claim":    withTokens(func(v variables) string { return fallback(v("USER_IDENTIFIER"), "preferred_username") }),
	"shared-library": func(v variables) (string, error) {
		switch scope := v("IMAGE_SCOPE"); {
		case scope != "" && scope != "user":
			return "", fmt.Errorf("%w: IMAGE_SCOPE is %q: want user, or nothing", errUsage, scope)
		case scope == "user" && v("OIDC_JWKS_URI") == "":
			return "", fmt.Errorf("%w: IMAGE_SCOPE is user: want OIDC_JWKS_URI beside it, for without tokens nobody is a user", errUsage)
		case scope == "" && v("OIDC_JWKS_URI") != "":
			return "true", nil
		}
		return "", nil
	},
}

// variables gives what a variable of the environment says, or nothing.
type variables func(name string) string

// withTokens gives a value where tokens are taken.
func withTokens(value func(variables) string) func(variables) (string, error) {
	return func(v variables) (string, error) {
		if v("OIDC_JWKS_URI") == "" {
			return "", nil
		}
		return value(v), nil
	}
}

// storageOrigin is S3 where there is a bucket, and else the directory.
func storageOrigin(v variables) (string, error) {
	if bucket := v("S3_BUCKET"); bucket != "" {
		query := url.Values{}
		for name, variable := range map[string]string{"endpoint": "S3_ENDPOINT", "region": "S3_REGION"} {
			if value := v(variable); value != "" {
				query.Set(name, value)
			}
		}
		return (&url.URL{Scheme: "s3", Host: bucket, RawQuery: query.Encode()}).String(), nil
	}
	directory := v("UPLOADS_DIRECTORY")
	if directory == "" {
		return "", nil
	}
	path, err := filepath.Abs(directory)
	return (&url.URL{Scheme: "file", Path: path}).String(), err
}

// fromImageStorage gives what a variable of image-storage-service says, where its clients are served.
func (c *configSources) fromImageStorage(ctx *kong.Context, path *kong.Path, flag *kong.Flag) (any, error) {
	translate, known := storageVariables[flag.Name]
	if !known || !c.servesImageStorage(ctx, path) {
		return nil, nil
	}
	value, err := translate(func(name string) string { value, _ := c.environ(name); return value })
	if value == "" {
		return nil, err
	}
	return value, err
}

func (c *configSources) servesImageStorage(ctx *kong.Context, path *kong.Path) bool {
	systems, _ := c.environ(envName("compat"))
	for _, flag := range path.Flags {
		if flag.Name != "compat" {
			continue
		}
		if said, _ := ctx.FlagValue(flag).(string); said != "" {
			systems = said
		} else if said, ok := c.file["compat"].(string); ok && systems == "" {
			systems = said
		}
	}
	return slices.Contains(list(systems), systemImageStorage)
}

// storageCredentials has S3 opened with what image-storage-service calls its credentials, where ours are not set.
func storageCredentials() error {
	for ours, theirs := range map[string]string{"AWS_ACCESS_KEY_ID": "S3_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY": "S3_SECRET_ACCESS_KEY"} {
		if value := os.Getenv(theirs); value != "" && os.Getenv(ours) == "" {
			if err := os.Setenv(ours, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// serveImageStorage has the edge answer clients of image-storage-service, where it is to. It comes before anything is served.
func (n *node) serveImageStorage() {
	c := n.config
	if !c.compat.imageStorage {
		return
	}
	if os.Getenv("MONGODB_CONNECTION_STRING") != "" {
		n.log.Warn("MONGODB_CONNECTION_STRING is not used: records are kept in --database")
	}
	switch {
	case c.compat.openLibrary:
		n.log.Warn("anybody may see, change and delete all pictures: --open-library is set")
	case !c.auth.tokens() && len(c.apiKeys) == 0:
		n.log.Warn("clients of image-storage-service are refused: no tokens are taken, there is no API key, and no --open-library")
	}
	n.edge.ImageStorage = n.operator.ImageStorage(admin.ImageStorage{Open: c.compat.openLibrary, DemandAll: c.compat.demandAll})
}
