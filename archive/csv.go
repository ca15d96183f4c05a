package archive

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
)

// csvColumns are what every picture has.
var csvColumns = []struct {
	name string
	of   func(Picture) string
}{
	{"id", func(p Picture) string { return p.ID }},
	{"path", func(p Picture) string { return p.Path }},
	{"file", func(p Picture) string { return p.File }},
	{"time", func(p Picture) string { return csvTime(p.Time) }},
	{"name", func(p Picture) string { return p.Name }},
	{"tags", func(p Picture) string { return strings.Join(p.Tags, ", ") }},
	{"labels", func(p Picture) string { return labelText(p.Labels) }},
	{"owner", func(p Picture) string { return p.Owner }},
	{"private", func(p Picture) string { return strconv.FormatBool(p.Private) }},
	{"created", func(p Picture) string { return csvTime(p.Created) }},
	{"updated", func(p Picture) string { return csvTime(p.Updated) }},
	{"bytes", func(p Picture) string { return strconv.FormatInt(p.Bytes, 10) }},
	{"format", func(p Picture) string { return p.Format }},
	{"width", func(p Picture) string { return strconv.Itoa(p.Width) }},
	{"height", func(p Picture) string { return strconv.Itoa(p.Height) }},
	{"sha256", func(p Picture) string { return p.SHA256 }},
	{"md5", func(p Picture) string { return p.MD5 }},
}

func csvTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func labelText(labels []Label) string {
	texts := make([]string, len(labels))
	for i, l := range labels {
		texts[i] = l.Name + " " + strconv.FormatFloat(l.Confidence, 'f', -1, 64) + "%"
	}
	return strings.Join(texts, ", ")
}

// writeCSV writes a row a picture, with a column for each of the names in data.
func writeCSV(to io.Writer, from *spool, keys []string) error {
	w := csv.NewWriter(to)
	w.UseCRLF = true // RFC 4180
	var row []string
	for _, c := range csvColumns {
		row = append(row, c.name)
	}
	for _, key := range keys {
		row = append(row, harmless("data."+key))
	}
	if err := w.Write(row); err != nil {
		return err
	}
	err := from.pictures(func(p Picture) error {
		row = row[:0]
		for _, c := range csvColumns {
			row = append(row, harmless(c.of(p)))
		}
		var data map[string]json.RawMessage
		_ = json.Unmarshal(p.Data, &data) // without data its columns are empty
		for _, key := range keys {
			row = append(row, cell(data[key]))
		}
		return w.Write(row)
	})
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	return err
}

// cell is a JSON value for a spreadsheet: texts as they are, numbers as numbers, all else as JSON.
func cell(value json.RawMessage) string {
	var text string
	switch {
	case len(value) == 0 || string(value) == "null":
		return ""
	case json.Unmarshal(value, &text) == nil:
		return harmless(text)
	}
	return string(value) // a number cannot be a formula, nor can what begins with a brace
}

// harmless puts an apostrophe before what spreadsheets would take for a formula (OWASP, CSV Injection): texts that begin with one of
// = + - @, a tab, a carriage return or a line feed, or a wide form of these signs.
func harmless(text string) string {
	if text == "" || !strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(text)[0]) {
		return text
	}
	return "'" + text
}
