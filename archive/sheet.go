package archive

import (
	"archive/zip"
	"bufio"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"unicode/utf8"
)

// sheetParts are what a workbook of one sheet consists of beside it (ECMA-376 part 1, section 12 and part 2, section 10).
var sheetParts = []struct{ name, text string }{
	{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Default Extension="xml" ContentType="application/xml"/>` +
		`<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>` +
		`<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`},
	{"_rels/.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" ` +
		`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
	{"xl/workbook.xml", `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" ` +
		`xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`},
	{"xl/_rels/workbook.xml.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" ` +
		`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`},
}

// The bounds of a sheet, which spreadsheets have.
const (
	maxRows = 1 << 20
	maxCell = 32767 // characters
)

// writeSheet writes one row a picture, as texts, which are no formulas in this form whatever they begin with. Rows beyond what a
// sheet can have are left out.
func writeSheet(to io.Writer, from *spool, keys []string) error {
	book := zip.NewWriter(to)
	for _, part := range sheetParts {
		entry, err := book.Create(part.name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(entry, xml.Header+part.text); err != nil {
			return err
		}
	}
	entry, err := book.Create("xl/worksheets/sheet1.xml")
	if err != nil {
		return err
	}
	sheet := bufio.NewWriter(entry)
	_, _ = sheet.WriteString(xml.Header + `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>`)
	writeRow(sheet, append([]string{"_id", "file", "time"}, keys...))
	rows := 1
	err = from.pictures(func(p Picture) error {
		if rows++; rows > maxRows {
			return nil
		}
		row := []string{p.ID, p.Path, csvTime(p.Time)}
		var data map[string]json.RawMessage
		_ = json.Unmarshal(p.Data, &data) // without data its columns are empty
		for _, key := range keys {
			row = append(row, sheetText(data[key]))
		}
		writeRow(sheet, row)
		return nil
	})
	if err != nil {
		return err
	}
	_, _ = sheet.WriteString(`</sheetData></worksheet>`)
	if err := sheet.Flush(); err != nil { // it tells of earlier errors, too
		return err
	}
	return book.Close()
}

// sheetText is a JSON value as a text; what is false, 0 or null is left blank, as in that system.
func sheetText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	switch text = string(value); text {
	case "null", "false", "0":
		return ""
	}
	return text
}

func writeRow(to *bufio.Writer, cells []string) {
	_, _ = to.WriteString("<row>")
	for _, text := range cells {
		if text == "" {
			_, _ = to.WriteString("<c/>")
			continue
		}
		if utf8.RuneCountInString(text) > maxCell {
			text = string([]rune(text)[:maxCell])
		}
		_, _ = to.WriteString(`<c t="inlineStr"><is><t xml:space="preserve">`)
		_ = xml.EscapeText(to, []byte(strings.ToValidUTF8(text, "?"))) // Flush tells of errors
		_, _ = to.WriteString("</t></is></c>")
	}
	_, _ = to.WriteString("</row>")
}
