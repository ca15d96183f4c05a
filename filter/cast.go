package filter

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// cast makes an operand what the field's column can be compared with, or says that it cannot: {"bytes": {"$ne": "5"}} would
// match, and delete, everything.
func (f *field) cast(path, op string, operand any) (any, error) {
	if operand == nil {
		return nil, nil
	}
	if f.document() {
		if problem := goodLiteral(operand); problem != "" {
			return nil, &Error{join(path, op), problem, ""}
		}
		return operand, nil
	}
	needs := ""
	switch f.column.Kind {
	case Text:
		if text, ok := asText(operand); ok && goodText(text) == nil {
			return text, nil
		}
		needs = "a text"
	case Number:
		if _, ok := operand.(float64); ok {
			return operand, nil
		}
		needs = "a number"
	case Bool:
		if _, ok := operand.(bool); ok {
			return operand, nil
		}
		needs = "true or false"
	case Time:
		if text, ok := operand.(string); ok {
			if at, ok := parseTime(text); ok {
				return at, nil
			}
		}
		needs = "a time of ISO 8601, as 2026-11-22T10:30:00Z"
	}
	return nil, &Error{join(path, op), "the field needs " + needs, ""}
}

// goodLiteral returns why a value cannot be one that data has; empty when it can.
func goodLiteral(value any) string {
	switch value := value.(type) {
	case nil, bool:
	case float64:
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return "JSON has no such number"
		}
	case string:
		if err := goodText(value); err != nil {
			return err.Error()
		}
	case []any:
		for _, element := range value {
			if problem := goodLiteral(element); problem != "" {
				return problem
			}
		}
	case Doc:
		for _, field := range value {
			if strings.HasPrefix(field.Key, "$") {
				return "an operator is where a value should be"
			}
			if err := goodText(field.Key); err != nil {
				return err.Error()
			}
			if problem := goodLiteral(field.Value); problem != "" {
				return problem
			}
		}
	default:
		return "the value has a type that JSON has not"
	}
	return ""
}

// asText writes a value as JavaScript's String does (ECMA-262, Number::toString), for columns of text.
func asText(value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return value, true
	case bool:
		return strconv.FormatBool(value), true
	case float64:
		if value == 0 {
			return "0", true // not "-0"
		}
		if size := math.Abs(value); size >= 1e-6 && size < 1e21 {
			return strconv.FormatFloat(value, 'f', -1, 64), true
		}
		text := strconv.FormatFloat(value, 'e', -1, 64)
		return strings.NewReplacer("e+0", "e+", "e-0", "e-").Replace(text), true
	}
	return "", false
}

// timeLayouts are the forms of ISO 8601 that JavaScript's Date reads, and those without seconds or minutes.
var timeLayouts = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04",
	"2006-01-02", "2006-01", "2006",
}

// parseTime reads a time of ISO 8601, cut to milliseconds.
func parseTime(text string) (time.Time, bool) {
	for _, layout := range timeLayouts {
		if at, err := time.Parse(layout, text); err == nil {
			return time.UnixMilli(at.UnixMilli()).UTC(), true
		}
	}
	return time.Time{}, false
}
