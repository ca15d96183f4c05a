package main

import (
	"strings"

	"github.com/alecthomas/kong"
)

// examples teach each command behind its flags' help. A test has every line read as the command line that it is.
var examples = map[string][]string{
	"": {
		"deckle --demo                                    # serve, with a picture to look at",
		"deckle explain '/cat_300_200.webp?fit=crop'      # what a URL means",
		"deckle render photos --outputs _300_0.webp       # files, without a server",
	},
	"serve": {
		"deckle serve --data /var/lib/deckle --memory 1GiB",
		"deckle serve --origin https://pictures.example/originals --store 's3://variants?region=eu-central-1'",
		"deckle serve --redis redis://10.0.0.5:6379/0 --database postgres://deckle@db/deckle",
		"deckle serve --config deckle.yaml                # settings in a file; DECKLE_MEMORY=1GiB works as well",
	},
	"render": {
		"deckle render photos --outputs _300_0.webp,_600_0.webp --to public",
		"deckle render 'photos/*.jpg' -o '_300_200.avif?fit=crop&gravity=attention' -o .webp",
		"deckle render photos --match '*.png' --outputs _1200_0.webp --dry-run",
	},
	"explain": {
		"deckle explain '/cat_300_200_2x.webp?quality=80'",
		"deckle explain /cat_300_200.auto --accept image/avif,image/webp --admin http://127.0.0.1:8081",
	},
	"token":         {"deckle token cat --replace"},
	"sign":          {"deckle sign /cat_300_200.webp --ttl 1h --secret 0123456789abcdef0123456789abcdef", "deckle sign /cat_300_200.webp --scope /cat --signing-secrets-file secrets"},
	"secret":        {"deckle secret --count 2"},
	"purge":         {"deckle purge --source cat", "deckle purge --prefix products/ --soft"},
	"warm":          {"deckle warm access.log --top 1000 --rate 20", "deckle warm - --edge http://127.0.0.1:8080"},
	"bench":         {"deckle bench http://127.0.0.1:8080 --workload hit,miss"},
	"bench run":     {"deckle bench run a=http://127.0.0.1:8080 b=http://127.0.0.1:9080,urls=imgproxy --rounds 3"},
	"bench compare": {"deckle bench compare before.json after.json"},
	"bench report":  {"deckle bench report run.json run.html"},
	"bench sources": {"deckle bench sources pictures"},
	"export":        {"deckle export pictures.zip"},
	"import":        {"deckle import pictures.zip"},
	"index":         {"deckle index"},
	"config":        {"deckle config --memory 1GiB", "deckle config --config deckle.yaml"},
	"healthcheck":   {"deckle healthcheck --admin http://127.0.0.1:8081"},
	"version":       {"deckle version"},
	"completion":    {"deckle completion bash > /etc/bash_completion.d/deckle", "deckle completion fish > ~/.config/fish/completions/deckle.fish"},
	"man":           {"deckle man > /usr/local/share/man/man1/deckle.1"},
	"key create":    {"deckle key create shop --scopes read,upload --expires 720h"},
	"key list":      {"deckle key list"},
	"key rotate":    {"deckle key rotate k1 --overlap 24h"},
	"key revoke":    {"deckle key revoke k1"},
}

// exitCodes is what every command's help ends with.
const exitCodes = "Exits with 0 when done, 1 when something could not be done, 2 when the command line or the configuration is at fault and nothing was begun."

// teach gives each command its examples.
func teach(node *kong.Node, path string) {
	if lines := examples[path]; len(lines) > 0 {
		node.Detail = "Examples:\n\n    " + strings.Join(lines, "\n    ") + "\n\n" + exitCodes
	}
	for _, child := range node.Children {
		teach(child, strings.TrimSpace(path+" "+child.Name))
	}
}
