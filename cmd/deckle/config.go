package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"deckle/proxy"
	"deckle/transform"
	"deckle/transform/vips"

	"github.com/alecthomas/kong"
	"github.com/dustin/go-humanize"
	"go.yaml.in/yaml/v4"
)

// settings are the flags of the commands that serve. Each may also come from the environment (--memory as DECKLE_MEMORY, or
// its value in a file named by DECKLE_MEMORY_FILE) and from the YAML file that --config names (memory: 1GiB). A flag beats
// the environment, which beats the file. All are text: resolve reads them together and lists every fault.
type settings struct {
	ConfigFile string `name:"config" help:"YAML file with any of these settings." placeholder:"FILE"`

	Listen      string `default:":8080" help:"Address of the edge."`
	AdminListen string `default:"127.0.0.1:8081" help:"Address of the operator's listener."`
	Data        string `default:"./data" help:"Directory of everything that is kept on disk."`

	Origin string `help:"Where originals live: file:///path, s3://bucket/prefix?endpoint=URL&region=R, or https://host/path (read only). Several, by id prefix: shop=s3://...,file:///path. Default: a directory under the data directory." placeholder:"URL"`
	Memory string `default:"256MiB" help:"Size of the memory tier."`
	Redis  string `help:"Shared tier: redis://host:port/db or rediss://." placeholder:"URL"`
	Store  string `help:"Durable tier: file:///path?max=20GiB or s3://bucket/prefix?endpoint=URL&region=R. Default: 20 GiB under the data directory." placeholder:"URL"`

	Renderers string `default:"auto" help:"Renders at once; auto is one a core."`
	Queue     string `default:"auto" help:"Renders that may wait before 503; auto is 16 a renderer."`
	Timeout   string `default:"30s" help:"How long one answer may take, waiting included."`

	Isolate        bool   `default:"true" negatable:"" help:"Render in processes of their own, which are killed at the deadline and cost one request when they crash."`
	RenderTimeout  string `default:"5s" help:"How long one render may take in such a process; an animation gets twice that."`
	RendererMemory string `default:"1GiB" help:"Most memory that one such process may allocate."`
	PyramidMemory  string `default:"128MiB" help:"Most memory for decoded sources that several sizes are asked of at about the same time; 0 decodes for each."`

	Records   databaseSettings  `embed:""`
	Rendering renderSettings    `embed:""`
	HTTP      httpSettings      `embed:""`
	Guard     guardSettings     `embed:""`
	Fleet     fleetSettings     `embed:""`
	Signing   signSettings      `embed:""`
	Events    eventSettings     `embed:""`
	Ingest    ingestSettings    `embed:""`
	API       apiSettings       `embed:""`
	Compat    compatSettings    `embed:""`
	Labels    labelSettings     `embed:""`
	Auth      authSettings      `embed:""`
	Archives  archiveSettings   `embed:""`
	Telemetry telemetrySettings `embed:""`

	APIKeys string `name:"api-keys" help:"Keys that the operator's listener takes, separated by commas." placeholder:"KEY,..."`

	MaxAge        string `default:"1h" help:"How long viewers keep a picture without asking again."`
	Ignore        string `default:"v,_,utm_*,fbclid,gclid" help:"Query options to pass over; the first marks a versioned URL."`
	Presets       string `help:"Bundles of options by name, for preset=NAME: NAME=OPTIONS;NAME=OPTIONS, with a size as in thumb=_300_200?fit=crop." placeholder:"NAME=OPTIONS;..."`
	PresetsOnly   bool   `help:"Refuse sizes and options that come from no preset."`
	Sizes         string `help:"Sides that are rendered, device pixels, separated by commas; others are redirected to the next one up." placeholder:"SIDE,..."`
	SizesSnap     bool   `help:"Serve other sizes as the next one up, instead of redirecting."`
	AllowIndexing bool   `help:"Let robots.txt allow search engines."`
	VersionFresh  string `default:"1s" help:"How long a source's version is believed without asking its store."`
	VersionStale  string `default:"5s" help:"How long it is believed while the store is asked behind the answer: the bound within which other nodes see a replaced source."`
	AllowUpstream string `help:"Networks that web origins may be in though they are not public, separated by commas." placeholder:"CIDR,..."`

	MaxSourceBytes  string `default:"32MiB" help:"Largest source."`
	MaxSourcePixels string `default:"50000000" help:"Most pixels of a source."`
	MaxSourceSide   string `default:"16384" help:"Longest side of a source, pixels."`
	MaxOutputSide   string `default:"4096" help:"Longest side of a result, device pixels."`
	TokenLifetime   string `default:"15m" help:"How long an upload token is good."`

	AccessLog string `default:"all" enum:"all,errors" help:"What requests are logged: all or errors."`
	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"Least level of log lines: debug, info, warn, error."`
}

// configuration is settings, read and found good.
type configuration struct {
	listen, adminListen string
	data                string
	origins             []routedOrigin
	memory              int64 // bytes
	redis, store        *url.URL
	database            recordsAt
	renderers, queue    int
	timeout, maxAge     time.Duration
	isolate             bool
	renderTimeout       time.Duration
	rendererMemory      int64 // bytes
	pyramidMemory       int64 // bytes; -1 for none
	apiKeys             []string
	rules               proxy.Rules
	http                httpPolicy
	allowIndexing       bool
	fresh, stale        time.Duration
	allowUpstream       []netip.Prefix
	limits              transform.Limits
	guard               guarding
	fleet               fleetTimes
	signed              proxy.Signed
	viewTime            time.Duration // the longest that a view URL is good
	events              eventing
	intake              intake
	api                 apiAccess
	compat              compatibility
	labels              labelling
	auth                authorising
	importMax           int64 // bytes of an archive
	telemetry           telemetry
	engine              vips.Config
	tokenLifetime       time.Duration
	accessLog, logLevel string
}

// routedOrigin is a store of originals and the id prefix that it serves; an empty prefix serves all others.
type routedOrigin struct {
	prefix string
	at     *url.URL
}

// reader reads settings one by one and keeps every fault.
type reader struct{ faults []error }

func (r *reader) fault(name, value, want string) {
	r.faults = append(r.faults, fmt.Errorf("--%s (%s) is %q: want %s", name, envName(name), value, want))
}

func (r *reader) duration(name, value string, least time.Duration) time.Duration {
	d, err := time.ParseDuration(value)
	if err != nil || d < least {
		r.fault(name, value, fmt.Sprintf("a duration of at least %s, as in 30s or 15m", least))
	}
	return d
}

func (r *reader) bytes(name, value string) int64 {
	n, err := humanize.ParseBytes(value)
	if err != nil || n == 0 || n > 1<<60 {
		r.fault(name, value, "a size as in 256MiB")
		return 1
	}
	return int64(n)
}

func (r *reader) number(name, value string, auto, most int) int {
	if value == "auto" && auto > 0 {
		return auto
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		r.fault(name, value, fmt.Sprintf("a whole number from 1 to %d", most))
		return 1
	}
	return n
}

func (r *reader) url(name, value string, schemes ...string) *url.URL {
	u, err := url.Parse(value)
	if err == nil {
		for _, scheme := range schemes {
			if u.Scheme == scheme {
				return u
			}
		}
	}
	r.fault(name, redacted(value), "a URL that begins with "+strings.Join(schemes, ":// or ")+"://")
	return &url.URL{}
}

func (r *reader) address(name, value string) string {
	if _, port, err := net.SplitHostPort(value); err != nil || port == "" {
		r.fault(name, value, "host:port or :port")
	}
	return value
}

// resolve reads all settings. Its error lists every fault and wraps errUsage.
func (s *settings) resolve() (*configuration, error) {
	var r reader
	c := &configuration{
		listen: r.address("listen", s.Listen), adminListen: r.address("admin-listen", s.AdminListen),
		allowIndexing: s.AllowIndexing, accessLog: s.AccessLog, logLevel: s.LogLevel,
		memory: r.bytes("memory", s.Memory), timeout: r.duration("timeout", s.Timeout, time.Second),
		maxAge: r.duration("max-age", s.MaxAge, 0), tokenLifetime: r.duration("token-lifetime", s.TokenLifetime, time.Second),
		fresh: r.duration("version-fresh", s.VersionFresh, 0), stale: r.duration("version-stale", s.VersionStale, 0),
		isolate: s.Isolate, renderTimeout: r.duration("render-timeout", s.RenderTimeout, time.Millisecond),
		rendererMemory: r.bytes("renderer-memory", s.RendererMemory), pyramidMemory: -1,
		apiKeys: list(s.APIKeys), rules: proxy.Rules{Ignore: list(s.Ignore), PresetsOnly: s.PresetsOnly, Snap: s.SizesSnap},
	}
	if s.PyramidMemory != "0" {
		c.pyramidMemory = r.bytes("pyramid-memory", s.PyramidMemory)
	}
	data, err := filepath.Abs(s.Data)
	if err != nil {
		r.fault("data", s.Data, "a directory")
	}
	c.data = data
	s.resolveStores(&r, c)
	c.renderers = r.number("renderers", s.Renderers, runtime.GOMAXPROCS(0), 1024)
	c.queue = r.number("queue", s.Queue, 16*c.renderers, 1<<20)
	c.limits = transform.DefaultLimits()
	c.limits.SourceBytes = r.bytes("max-source-bytes", s.MaxSourceBytes)
	c.limits.SourcePixels = int64(r.number("max-source-pixels", s.MaxSourcePixels, 0, 1<<31))
	c.limits.SourceSide = r.number("max-source-side", s.MaxSourceSide, 0, 1<<20)
	c.limits.OutputSide = r.number("max-output-side", s.MaxOutputSide, 0, 16384)
	c.engine = s.Rendering.resolve(&r, c.limits)
	c.limits = c.engine.Limits
	s.resolveRules(&r, c)
	c.http = s.HTTP.resolve(&r, c.maxAge, c.store.String())
	c.guard = s.Guard.resolve(&r)
	c.fleet = s.Fleet.resolve(&r, c.renderTimeout)
	c.signed = s.Signing.resolve(&r, s.HTTP.Redirect != "")
	if c.viewTime = time.Hour; c.signed.Verifier == nil {
		c.viewTime = r.duration("signature-max-age", s.Signing.SignatureMaxAge, time.Second)
	} else if age, err := time.ParseDuration(s.Signing.SignatureMaxAge); err == nil { // a fault of it is known
		c.viewTime = age
	}
	c.events = s.Events.resolve(&r)
	c.intake = s.Ingest.resolve(&r)
	c.api = s.API.resolve(&r, c.signed, s.Signing.SignatureMaxAge)
	c.compat = s.Compat.resolve(&r, c)
	c.labels, c.telemetry = s.Labels.resolve(&r), s.Telemetry.resolve(&r)
	s.resolveAccess(&r, c)
	c.importMax = s.Archives.resolve(&r)
	if c.stale < c.fresh {
		r.fault("version-stale", s.VersionStale, "at least --version-fresh")
	}
	if len(r.faults) > 0 {
		return nil, fmt.Errorf("%w: the configuration has faults:\n  %w", errUsage, joinLines(r.faults))
	}
	return c, nil
}

func (s *settings) resolveStores(r *reader, c *configuration) {
	under := func(name string) string {
		return (&url.URL{Scheme: "file", Path: filepath.Join(c.data, name)}).String()
	}
	for _, entry := range list(fallback(s.Origin, under("originals"))) {
		prefix, at := "", entry
		if before, after, found := strings.Cut(entry, "="); found && !strings.ContainsAny(before, ":?") {
			prefix, at = before, after
		}
		c.origins = append(c.origins, routedOrigin{prefix, r.url("origin", at, "file", "s3", "http", "https")})
	}
	for _, cidr := range list(s.AllowUpstream) {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			r.fault("allow-upstream", cidr, "a network as in 10.1.0.0/16")
		}
		c.allowUpstream = append(c.allowUpstream, prefix)
	}
	if s.Redis != "" {
		c.redis = r.url("redis", s.Redis, "redis", "rediss")
	}
	c.store = r.url("store", fallback(s.Store, under("variants")), "file", "s3")
	c.database = s.Records.resolve(r, c.data)
}

// resolveRules reads what the configuration says of sizes and presets; the limits are known by then.
func (s *settings) resolveRules(r *reader, c *configuration) {
	var err error
	if c.rules.Presets, err = proxy.ParsePresets(s.Presets, c.limits.OutputSide); err != nil {
		r.fault("presets", s.Presets, "bundles as in thumb=_300_200?fit=crop;soft=blur=true: "+err.Error())
	}
	if c.rules.Sizes, err = proxy.ParseLadder(list(s.Sizes), c.limits.OutputSide); err != nil {
		r.fault("sizes", s.Sizes, "sides as in 200,400,800: "+err.Error())
	}
	if s.SizesSnap && s.Sizes == "" {
		r.fault("sizes-snap", "true", "--sizes beside it")
	}
	if s.PresetsOnly && strings.TrimSpace(s.Presets) == "" {
		r.fault("presets-only", "true", "--presets beside it")
	}
}

func fallback(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// list splits at commas and drops what is empty.
func list(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // faulted already
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

func joinLines(faults []error) error {
	lines := make([]string, len(faults))
	for i, err := range faults {
		lines[i] = err.Error()
	}
	return errors.New(strings.Join(lines, "\n  "))
}

// redacted hides the passwords of URLs, one or several separated by commas.
func redacted(value string) string {
	entries := strings.Split(value, ",")
	for i, entry := range entries {
		if u, err := url.Parse(entry); err == nil && u.User != nil {
			entries[i] = u.Redacted()
		}
	}
	return strings.Join(entries, ",")
}

// configSources reads settings from where kong does not.
type configSources struct {
	environ func(string) (string, bool)
	file    map[string]any
	fault   error // what is wrong with the file; kong puts it down to the flag that it asked for
}

func envName(flag string) string {
	return "DECKLE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment gives DECKLE_NAME, or what the file named by DECKLE_NAME_FILE holds.
func (c *configSources) fromEnvironment(_ *kong.Context, path *kong.Path, flag *kong.Flag) (any, error) {
	name := envName(flag.Name)
	if value, set := c.environ(name); set {
		return value, nil
	}
	file, set := c.environ(name + "_FILE")
	if !set || hasFileFlag(path, flag) {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s_FILE: %w", name, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// fromFile gives the value of the YAML file. The file is read when the first flag asks for it.
func (c *configSources) fromFile(ctx *kong.Context, path *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Name == "config" || flag.Name == "help" {
		return nil, nil
	}
	if c.file == nil {
		if err := c.read(ctx, path); err != nil {
			c.fault = err
			return nil, err
		}
	}
	value, set := c.file[flag.Name]
	if !set {
		return nil, nil
	}
	return fmt.Sprint(value), nil
}

func (c *configSources) read(ctx *kong.Context, path *kong.Path) error {
	c.file = map[string]any{}
	known, name := map[string]*kong.Flag{}, ""
	for _, flag := range path.Flags {
		known[flag.Name] = flag
		if flag.Name == "config" {
			name, _ = ctx.FlagValue(flag).(string)
		}
	}
	if name == "" && known["config"] != nil {
		name, _ = c.environ(envName("config"))
	}
	if name == "" {
		return nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, &c.file); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for key, value := range c.file {
		if known[key] == nil {
			return fmt.Errorf("%s: unknown setting %q", name, key)
		}
		switch value := value.(type) {
		case []any:
			c.file[key] = strings.Trim(strings.Join(strings.Fields(fmt.Sprint(value)), ","), "[]")
		case map[string]any:
			c.file[key] = joinMap(value, separator(known[key]))
		}
	}
	return nil
}

// separator is what stands between the entries of a flag that takes name=value: a comma, or a semicolon where values hold commas.
func separator(flag *kong.Flag) string {
	if strings.Contains(flag.PlaceHolder+flag.Default, ";") {
		return ";"
	}
	return ","
}

// joinMap spells a map of the file as its flag does: name=value;name=value.
func joinMap(values map[string]any, separator string) string {
	entries := make([]string, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		entries = append(entries, fmt.Sprintf("%s=%v", name, values[name]))
	}
	return strings.Join(entries, separator)
}

// configCommand prints what serve would run with.
type configCommand struct {
	Settings settings `embed:""`
}

// Run prints every setting as YAML that --config takes, secrets masked.
func (c *configCommand) Run(stdout io.Writer, k *kong.Context) error {
	if _, err := c.Settings.resolve(); err != nil {
		return err
	}
	for _, flag := range k.Selected().Flags {
		if flag.Name == "help" || flag.Name == "config" {
			continue
		}
		value := fmt.Sprint(flag.Target.Interface())
		if secretFlags[flag.Name] && value != "" {
			value = "****"
		}
		text, err := yaml.Marshal(map[string]string{flag.Name: redacted(value)})
		if err != nil {
			return err
		}
		if _, err := stdout.Write(text); err != nil {
			return err
		}
	}
	return nil
}
