package event

import _ "embed"

//go:embed schema.json
var schema string

// Schema is the event as a JSON Schema, draft 2020-12. What it accepts is an
// invalid event at no provider, save for what a schema cannot say: sizes in
// bytes, duplicate names, days that a month does not have.
func Schema() []byte { return []byte(schema) }
