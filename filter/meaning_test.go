package filter_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"deckle/filter"
)

// records are what TestMeaning asks, by their file.
var records = map[string]string{
	"none": ``, "empty": `{}`, "null": `{"a":null}`, "one": `{"a":1}`, "float": `{"a":1.0}`, "text1": `{"a":"1"}`, "text": `{"a":"b"}`,
	"true": `{"a":true}`, "false": `{"a":false}`, "list": `{"a":[1,2,3]}`, "nothing": `{"a":[]}`, "lists": `{"a":[[1,2],[3]]}`,
	"nullList": `{"a":[null]}`, "ab": `{"a":{"b":1,"c":2}}`, "ba": `{"a":{"c":2,"b":1}}`, "empties": `{"a":{}}`,
	"docs": `{"a":[{"b":1,"c":9},{"b":5,"c":2}]}`, "holes": `{"a":[{"b":1},{"c":2}]}`, "deep": `{"a":[[{"b":1}]]}`,
	"digit": `{"a":{"0":1}}`, "digits": `{"a":[{"0":7},8]}`, "mixed": `{"a":["x",5,null,{"b":[4,5]}]}`, "big": `{"a":3000000000.5}`,
}

// TestMeaning holds what MongoDB answers, on Match and on both databases. The answers were worked out from its manual's pages on
// query operators and on querying null, arrays and embedded documents.
func TestMeaning(t *testing.T) {
	tests := []struct{ filter, want string }{
		{`{"data.a":1}`, "one float list"},
		{`{"data.a":{"$eq":1.0}}`, "one float list"},
		{`{"data.a":"1"}`, "text1"},
		{`{"data.a":true}`, "true"},
		{`{"data.a":null}`, "none empty null nullList mixed"},
		{`{"data.a":{"$ne":null}}`, "!none empty null nullList mixed"},
		{`{"data.a":{"$exists":true}}`, "!none empty"},
		{`{"data.a":{"$exists":false}}`, "none empty"},
		{`{"data":{"$exists":false}}`, "none"},
		{`{"data":{"a":1}}`, "one float"},
		{`{"data":null}`, "none"},
		{`{"data.a":{"$gte":null}}`, "none empty null nullList mixed"},
		{`{"data.a":{"$gt":null}}`, ""},
		{`{"data.a":{"$gt":1}}`, "list mixed big digits"},
		{`{"data.a":{"$lte":1}}`, "one float list"},
		{`{"data.a":{"$gt":""}}`, "text1 text mixed"},
		{`{"data.a":{"$gte":false}}`, "true false"},
		{`{"data.a":{"$gt":false}}`, "true"},
		{`{"data.a":{"$lt":true}}`, "false"},
		{`{"data.a":{"$ne":1}}`, "!one float list"},
		{`{"data.a":{"$in":[1,"b",null]}}`, "none empty null one float text list nullList mixed"},
		{`{"data.a":{"$in":[]}}`, ""},
		{`{"data.a":{"$nin":[]}}`, "!"},
		{`{"data.a":{"$nin":[1,null]}}`, "!none empty null one float list nullList mixed"},
		{`{"data.a":[1,2,3]}`, "list"},
		{`{"data.a":[1,2]}`, "lists"},
		{`{"data.a":[3]}`, "lists"},
		{`{"data.a":[]}`, "nothing"},
		{`{"data.a":{"b":1,"c":2}}`, "ab"},
		{`{"data.a":{"c":2,"b":1}}`, "ba"},
		{`{"data.a":{"b":1}}`, "holes"},
		{`{"data.a":{}}`, "empties"},
		{`{"data.a":{"b":1.0,"c":9}}`, "docs"},
		{`{"data.a.b":1}`, "ab ba docs holes"},
		{`{"data.a.b":null}`, "none empty null one float text1 text true false empties holes digit digits big"},
		{`{"data.a.b":{"$exists":false}}`, "!ab ba docs holes mixed"},
		{`{"data.a.b":5}`, "docs mixed"},
		{`{"data.a.b":{"$gt":1,"$lt":5}}`, "docs mixed"},
		{`{"data.a.b":{"$gt":0,"$lt":2}}`, "ab ba docs holes"},
		{`{"data.a.b":{"$gt":4},"data.a.c":{"$gt":4}}`, "docs"},
		{`{"data.a":{"$elemMatch":{"b":{"$gt":4},"c":{"$gt":4}}}}`, ""},
		{`{"data.a":{"$elemMatch":{"b":1,"c":9}}}`, "docs"},
		{`{"data.a":{"$elemMatch":{"b":null}}}`, "lists holes deep digits"},
		{`{"data.a":{"$elemMatch":{"$gt":1,"$lt":3}}}`, "list"},
		{`{"data.a":{"$elemMatch":{"$in":[null]}}}`, "nullList mixed"},
		{`{"data.a":{"$elemMatch":{"$elemMatch":{"$gt":2}}}}`, "lists"},
		{`{"data.a":{"$elemMatch":{"$or":[{"b":5},{"c":2}]}}}`, "docs holes mixed"},
		{`{"data.a":{"$elemMatch":{"0":1}}}`, "lists"},
		{`{"data.a":{"$gt":1,"$lt":3}}`, "list"},
		{`{"data.a":{"$gt":2,"$lt":2}}`, "list"},
		{`{"data.a.0":1}`, "list digit"},
		{`{"data.a.0":7}`, "digits"},
		{`{"data.a.0":{"0":7}}`, "digits"},
		{`{"data.a.0":[1,2]}`, "lists"},
		{`{"data.a.0.0":1}`, "lists"},
		{`{"data.a.0.1":2}`, "lists"},
		{`{"data.a.0.b":1}`, "docs holes deep"},
		{`{"data.a.00":1}`, ""},
		{`{"data.a.9":null}`, "none empty null one float text1 text true false ab ba empties docs holes digit digits mixed big"},
		{`{"data.a.1":{"$exists":true}}`, "list lists docs holes digits mixed"},
		{`{"data.a":{"$size":2}}`, "lists docs holes digits"},
		{`{"data.a":{"$size":0}}`, "nothing"},
		{`{"data.a.0":{"$size":2}}`, "lists"},
		{`{"data.a":{"$all":[1,2]}}`, "list"},
		{`{"data.a":{"$all":[1]}}`, "one float list"},
		{`{"data.a":{"$all":[]}}`, ""},
		{`{"data.a":{"$all":[[1,2]]}}`, "lists"},
		{`{"data.a":{"$all":[{"$elemMatch":{"b":1}},{"$elemMatch":{"b":5}}]}}`, "docs"},
		{`{"data.a":{"$not":{"$gt":1}}}`, "!list mixed big digits"},
		{`{"data.a":{"$not":{"$size":2}}}`, "!lists docs holes digits"},
		{`{"data.a":{"$type":"array"}}`, "list nothing lists nullList docs holes deep digits mixed"},
		{`{"data.a":{"$type":"null"}}`, "null nullList mixed"},
		{`{"data.a":{"$type":["bool","object"]}}`, "true false ab ba empties docs holes digit digits mixed"},
		{`{"data.a":{"$type":2}}`, "text1 text mixed"},
		{`{"data.a":{"$type":"int"}}`, "one float list mixed digits"},
		{`{"data.a":{"$type":"double"}}`, "big"},
		{`{"data.a":{"$type":"long"}}`, ""},
		{`{"data.a":{"$regex":"^[a-z]$"}}`, "text mixed"},
		{`{"data.a":{"$regex":"B","$options":"i"}}`, "text"},
		{`{"data.a":{"$not":{"$regex":"."}}}`, "!text1 text mixed"},
		{`{"$or":[{"data.a":"b"},{"data.a":true}]}`, "text true"},
		{`{"$nor":[{"data.a":{"$exists":true}}]}`, "none empty"},
		{`{"$and":[{"data.a":{"$gt":0}},{"data.a":{"$lt":2}}]}`, "one float list"},
		{`{}`, "!"},
		{`{"file":"one"}`, "one"}, {`{"file":{"$gte":"text"}}`, "text text1 true"}, {`{"file":{"$in":["one",null]}}`, "one"},
		{`{"file":{"$regex":"^LIST","$options":"i"}}`, "list lists"}, {`{"file":{"$type":"string"}}`, "!"},
		{`{"time":{"$gt":"2026-11-22T10:00:00.500Z"}}`, "true"}, {`{"time":"2026-11-22T12:00:00.500+02:00"}`, "one"},
		{`{"time":{"$gte":"2026-11-22"}}`, "one true"}, {`{"time":null}`, "!one true"}, {`{"time":{"$ne":"2026-11-23"}}`, "!true"},
		{`{"bytes":{"$gt":1.5}}`, "true"}, {`{"bytes":{"$in":[2.0,7]}}`, "true"}, {`{"bytes":{"$exists":false}}`, "!one true"},
		{`{"private":true}`, "true"}, {`{"private":{"$ne":true}}`, "!true"}, {`{"private":{"$lte":false}}`, "one"},
		{`{"tags":"x"}`, "one"}, {`{"tags":{"$all":["x","y"]}}`, "one"}, {`{"tags":{"$size":0}}`, "!one"}, {`{"tags.1":"y"}`, "one"},
		{`{"tags":{"$nin":["x"]}}`, "!one"}, {`{"tags":null}`, ""},
	}
	var names []string
	var docs []filter.Doc
	for name, text := range records {
		doc := filter.Doc{{Key: "file", Value: name}}
		if text != "" {
			doc = append(doc, filter.Field{Key: "data", Value: filter.Read(t, text)})
		}
		tags := []any{}
		if name == "one" {
			tags = []any{"x", "y"}
			doc = append(doc, filter.Field{Key: "time", Value: time.UnixMilli(1795341600500)}, filter.Field{Key: "bytes", Value: 1.0}, filter.Field{Key: "private", Value: false})
		}
		if name == "true" {
			doc = append(doc, filter.Field{Key: "time", Value: time.UnixMilli(1795392000000)}, filter.Field{Key: "bytes", Value: 2.0}, filter.Field{Key: "private", Value: true})
		}
		names, docs = append(names, name), append(docs, append(doc, filter.Field{Key: "tags", Value: tags}))
	}
	all := databases(t)
	for _, d := range all {
		d.fill(t, docs)
	}
	for _, test := range tests {
		f, err := filter.Parse([]byte(test.filter), columns)
		if err != nil {
			t.Errorf("%s: %v", test.filter, err)
			continue
		}
		listed, negated := strings.CutPrefix(test.want, "!")
		want := map[string]bool{}
		for _, name := range strings.Fields(listed) {
			if _, known := records[name]; !known {
				t.Fatalf("%s: there is no record %q", test.filter, name)
			}
			want[name] = true
		}
		check := func(by string, ids []int) {
			t.Helper()
			got := map[int]bool{}
			for _, id := range ids {
				got[id] = true
			}
			for i, name := range names {
				if got[i] != (want[name] != negated) {
					t.Errorf("%s: %s over %s: %v", by, test.filter, records[name], got[i])
				}
			}
		}
		check("Match", matched(f, docs))
		for _, d := range all {
			check(d.name, d.matching(t, f))
		}
	}
}

// TestRefused holds what Parse does not take, where it says the fault is, and that it is no larger than it may be.
func TestRefused(t *testing.T) {
	nested := strings.Repeat(`{"$and":[`, 13) + `{}` + strings.Repeat(`]}`, 13)
	tests := []struct{ filter, path string }{
		{``, ""}, {`null`, ""}, {`5`, ""}, {`[]`, ""}, {`{"data.a":1`, ""}, {`{}{}`, ""}, {`{"data.a":1,"data.a":2}`, ""}, {nested, ""},
		{`{"data.a":1e999}`, ""}, {"{\"data.a\":\"\\u0000\"}", ""}, {`{"data.a":"` + strings.Repeat("x", filter.MaxBytes) + `"}`, ""},
		{`{"$where":"1"}`, "$where"}, {`{"$expr":{}}`, "$expr"}, {`{"$text":{}}`, "$text"}, {`{"$not":{}}`, "$not"}, {`{"$comment":"x"}`, "$comment"},
		{`{"label":"x"}`, "label"}, {`{"":1}`, ""}, {`{"file.x":1}`, "file.x"}, {`{"data..a":1}`, "data..a"}, {`{"data.$x":1}`, "data.$x"},
		{`{"data.a":{"$foo":1}}`, "data.a.$foo"}, {`{"data.a":{"$gt":1,"b":1}}`, "data.a.b"}, {`{"data.a":{"b":{"$gt":1}}}`, "data.a.$eq"},
		{`{"data.a":{"$function":{}}}`, "data.a.$function"}, {`{"data.a":{"$and":[]}}`, "data.a.$and"},
		{`{"data.a":{"$gt":[1]}}`, "data.a.$gt"}, {`{"data.a":{"$in":1}}`, "data.a.$in"}, {`{"data.a":{"$size":-1}}`, "data.a.$size"},
		{`{"data.a":{"$size":1.5}}`, "data.a.$size"}, {`{"data.a":{"$exists":"x"}}`, "data.a.$exists"}, {`{"data.a":{"$type":"x"}}`, "data.a.$type"},
		{`{"data.a":{"$type":[]}}`, "data.a.$type"}, {`{"data.a":{"$not":{}}}`, "data.a.$not"}, {`{"data.a":{"$not":5}}`, "data.a.$not"},
		{`{"data.a":{"$elemMatch":5}}`, "data.a.$elemMatch"}, {`{"data.a":{"$options":"i"}}`, "data.a.$options"},
		{`{"data.a":{"$all":[1,{"$elemMatch":{}}]}}`, "data.a.$all"}, {`{"data.a":{"$in":[{"$regex":"a"}]}}`, "data.a.$in"},
		{`{"data.a":{"$regex":"("}}`, "data.a.$regex"}, {`{"data.a":{"$regex":"(?=a)"}}`, "data.a.$regex"}, {`{"data.a":{"$regex":"(a)\\1"}}`, "data.a.$regex"},
		{`{"data.a":{"$regex":"a","$options":"g"}}`, "data.a.$regex"}, {`{"data.a":{"$regex":"a{300}"}}`, "data.a.$regex"},
		{`{"data.a":{"$regex":"(?:\\pL{50}){20}"}}`, "data.a.$regex"}, {`{"data.a":{"$regex":"(?:\\pL\\pM){9}\\pN\\p{Lu}\\PL"}}`, "data.a.$regex"},
		{`{"data.a":{"$regex":5}}`, "data.a.$regex"},
		{`{"$or":[]}`, "$or"}, {`{"$or":[5]}`, "$or"}, {`{"$or":{}}`, "$or"},
		{`{"time":"yesterday"}`, "time.$eq"}, {`{"time":{"$gt":5}}`, "time.$gt"}, {`{"time":{"$regex":"a"}}`, "time.$regex"},
		{`{"bytes":{"$ne":"5"}}`, "bytes.$ne"}, {`{"private":1}`, "private.$eq"}, {`{"file":{"a":1}}`, "file.$eq"},
		{`{"data.1.2.3.4":1}`, "data.1.2.3.4"}, {`{"data` + strings.Repeat(".a", 13) + `":1}`, "data" + strings.Repeat(".a", 13)},
	}
	for _, test := range tests {
		f, err := filter.Parse([]byte(test.filter), columns)
		var fault *filter.Error
		if !errors.Is(err, filter.ErrFilter) || !errors.As(err, &fault) {
			t.Errorf("%.80s: %v, %v", test.filter, f, err)
			continue
		}
		if fault.Path != test.path || len(err.Error()) > 600 {
			t.Errorf("%.80s: the fault is at %q, want %q: %v", test.filter, fault.Path, test.path, err)
		}
	}
}
