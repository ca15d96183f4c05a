// Command deckle is the whole of Deckle in one binary: the edge that serves pictures, the operator's listener, and the tools
// around them.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked for could not be done
	exitUsage  = 2 // the command line or the configuration is at fault; nothing was begun
)

// cli is the command line: one field a subcommand.
type cli struct {
	Serve       serveCommand       `cmd:"" default:"withargs" help:"Serve pictures (the default command)."`
	Key         keyCommand         `cmd:"" help:"Make, list, rotate and revoke keys of a running Deckle."`
	Token       tokenCommand       `cmd:"" help:"Ask a running Deckle for a token that allows one upload."`
	Purge       purgeCommand       `cmd:"" help:"Remove finished pictures from a running Deckle and its fleet, or mark them as out of date."`
	Warm        warmCommand        `cmd:"" help:"Ask an edge for the pictures of a list or an access log, so that they are there."`
	Export      exportCommand      `cmd:"" help:"Take pictures with their records out of a running Deckle, as a zip file."`
	Import      importCommand      `cmd:"" help:"Bring the pictures of a zip file into a running Deckle, with their records."`
	Index       indexCommand       `cmd:"" help:"Make records of pictures that were put into the store by hand, and find records without pictures."`
	Explain     explainCommand     `cmd:"" help:"Say how a URL is read, what its signature needs, and which tiers hold it."`
	Render      renderCommand      `cmd:"" help:"Render local files and folders, without a server."`
	Sign        signCommand        `cmd:"" help:"Sign a URL."`
	Secret      secretCommand      `cmd:"" help:"Make secrets to sign URLs with."`
	Bench       benchCommand       `cmd:"" help:"Load an image server and measure it."`
	Config      configCommand      `cmd:"" help:"Print the effective configuration, secrets masked."`
	Replay      replayCommand      `cmd:"" hidden:"" help:"Serve recorded answers: the floor that bench --floor measures."`
	Renderer    rendererCommand    `cmd:"" hidden:"" help:"Render for the server that started this process."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a running Deckle whether it is ready; exits 0 if it is."`
	Version     versionCommand     `cmd:"" help:"Print versions and the formats that can be read and written."`
	Completion  completionCommand  `cmd:"" help:"Print what has a shell complete commands and flags."`
	Man         manCommand         `cmd:"" help:"Print this program's manual page, as man reads it."`
}

// errUsage marks errors of the command line and the configuration.
var errUsage = errors.New("usage")

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	var commands cli
	sources := &configSources{environ: os.LookupEnv}
	code := -1
	parser, err := kong.New(&commands,
		kong.Name("deckle"),
		kong.Description("An image proxy that caches: pictures by URL, rendered once, kept in memory, Redis and S3 or on disk."),
		kong.UsageOnError(),
		kong.Writers(stdout, stderr),
		kong.Exit(func(c int) { code = c }),
		kong.Resolvers(kong.ResolverFunc(sources.fromImageStorage), kong.ResolverFunc(sources.fromFile), kong.ResolverFunc(sources.fromEnvironment)),
		kong.Bind(sources),
		kong.BindTo(stdout, (*io.Writer)(nil)),
	)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "deckle:", err)
		return exitUsage
	}
	teach(parser.Model.Node, "")
	command, err := parser.Parse(args)
	if code >= 0 { // --help has been printed
		return code
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "deckle:", cmp.Or(sources.fault, err))
		return exitUsage
	}
	switch err := command.Run(); {
	case errors.Is(err, errUsage):
		_, _ = fmt.Fprintln(stderr, "deckle:", err)
		return exitUsage
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "deckle:", err)
		return exitFailed
	}
	return exitOK
}
