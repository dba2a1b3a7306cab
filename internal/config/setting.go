package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// setting is one flag or argument of the command line and what kong must not
// do with it by itself.
type setting struct {
	value    *kong.Value
	env      string // empty when it has no variable
	enum     []string
	required bool
	given    bool // by an argument or a variable
	fromEnv  bool // the last value came from a variable, or none came
	broken   bool
}

// newSetting moves kong's rules about value into a setting: kong reads
// variables from the process, and stops at its first broken rule.
func newSetting(value *kong.Value) *setting {
	s := &setting{value: value, required: value.Required}
	if len(value.Tag.Envs) > 0 {
		s.env = value.Tag.Envs[0]
	}
	if value.Enum != "" {
		s.enum = value.EnumSlice()
	} else if choices := value.Tag.Get("choices"); choices != "" {
		s.enum = strings.Split(choices, ",")
	}
	value.Tag.Envs, value.Enum, value.Tag.Enum = nil, "", ""
	if value.Flag != nil {
		value.Flag.Envs = nil
		value.Flag.PlaceHolder = s.placeholder()
	}
	return s
}

func (s *setting) name() string {
	switch {
	case s.env != "":
		return s.env
	case s.value.Flag != nil:
		return s.flag()
	}
	return "<" + s.value.Name + ">"
}

func (s *setting) flag() string {
	if s.value.Flag == nil {
		return ""
	}
	return "--" + s.value.Name
}

func (s *setting) secret() bool { return s.value.Target.Type() == reflect.TypeFor[Secret]() }

func (s *setting) placeholder() string {
	flag := s.value.Flag
	if flag.PlaceHolder != "" {
		return flag.PlaceHolder
	}
	if s.value.HasDefault {
		return s.value.Default // kong would quote a text
	}
	switch kind := s.value.Target.Kind(); {
	case s.value.Target.Type() == reflect.TypeFor[time.Duration]():
		return "DURATION"
	case kind == reflect.String && strings.HasSuffix(s.value.Name, "-file"):
		return "PATH"
	case kind >= reflect.Int && kind <= reflect.Float64:
		return "N"
	}
	return "TEXT"
}

// allowed is the clause of a problem that says what the value must be.
func (s *setting) allowed() string {
	if text := s.value.Tag.Get("allowed"); text != "" {
		return "must be " + text
	}
	if len(s.enum) > 0 {
		if s.value.IsSlice() {
			return "must be one or more of " + strings.Join(s.enum, ", ")
		}
		return "must be one of " + strings.Join(s.enum, ", ")
	}
	limits := s.limits()
	switch kind := s.value.Target.Kind(); {
	case s.value.Target.Type() == reflect.TypeFor[time.Duration]():
		return "must be a duration such as 500ms, 10s or 5m" + comma(limits)
	case kind == reflect.Bool:
		return "must be true or false"
	case kind >= reflect.Int && kind <= reflect.Uint64:
		return "must be a whole number" + limits
	case kind == reflect.Float32, kind == reflect.Float64:
		return "must be a number" + limits
	case s.value.Flag == nil:
		return "must be given"
	}
	return "must not be empty"
}

// limits reads " from 1 to 5" or " longer than 0s, up to 1m", or is empty.
func (s *setting) limits() string {
	low, high, over := s.value.Tag.Get("min"), s.value.Tag.Get("max"), s.value.Tag.Get("over")
	more := " over "
	if s.value.Target.Type() == reflect.TypeFor[time.Duration]() {
		more = " longer than "
	}
	switch {
	case low != "" && high != "":
		return " from " + low + " to " + high
	case over != "" && high != "":
		return more + over + ", up to " + high
	case over != "":
		return more + over
	case low != "":
		return " from " + low
	case high != "":
		return " up to " + high
	}
	return ""
}

func comma(clause string) string {
	if clause == "" {
		return ""
	}
	return "," + clause
}

// fits tells whether a decoded value keeps to the enumeration and the limits.
func (s *setting) fits(target reflect.Value) bool {
	if len(s.enum) > 0 {
		switch target.Kind() {
		case reflect.Slice:
			for i := range target.Len() {
				if !slices.Contains(s.enum, fmt.Sprint(target.Index(i))) {
					return false
				}
			}
		default:
			if !slices.Contains(s.enum, fmt.Sprint(target)) {
				return false
			}
		}
	}
	for tag, holds := range map[string]func(value, limit float64) bool{
		"min":  func(value, limit float64) bool { return value >= limit },
		"over": func(value, limit float64) bool { return value > limit },
		"max":  func(value, limit float64) bool { return value <= limit },
	} {
		if text := s.value.Tag.Get(tag); text != "" && !holds(number(target), limit(target.Type(), text)) {
			return false
		}
	}
	return true
}

func number(v reflect.Value) float64 {
	switch {
	case v.CanInt():
		return float64(v.Int())
	case v.CanUint():
		return float64(v.Uint())
	}
	return v.Float()
}

// limit panics on a tag that is no limit of its type: only its author can mend it.
func limit(of reflect.Type, text string) float64 {
	if of == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			panic(fmt.Sprintf("config: limit %q: %v", text, err))
		}
		return float64(d)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("config: limit %q: %v", text, err))
	}
	return f
}

// recorder decodes as kong does, but notes a wrong value as a problem and goes
// on, so that the next wrong one is told in the same run.
type recorder struct {
	inner   kong.Mapper
	setting *setting
	check   *Check
}

// Decode is kong's question for every value: of an argument, a variable or a default.
func (r recorder) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	token := ctx.Scan.Peek()
	switch {
	case r.IsBoolFromValue(target), token.IsValue():
	case isBelowZero(token.String()):
		ctx.Scan.Pop()
		ctx.Scan.PushTyped(token.Value, kong.FlagValueToken)
	default:
		r.check.against(r.setting, "without a value", r.setting.allowed())
		r.check.hushed = r.check.hushed || r.setting.secret()
		return nil
	}
	err := r.inner.Decode(ctx, target)
	if list, ok := reflect.TypeAssert[[]string](target); ok && err == nil && ctx.Value.Flag != nil && ctx.Value.Tag.Sep != -1 {
		target.Set(reflect.ValueOf(trimmed(list)))
	}
	if err == nil && r.setting.fits(target) {
		return nil
	}
	target.SetZero()
	found := Quote(token.Value)
	if r.setting.secret() {
		found = "set (not shown)"
	}
	r.check.against(r.setting, found, r.setting.allowed())
	return nil
}

// isBelowZero tells a value such as -1 or -5s, which kong would take for a flag,
// though none begins with a digit.
func isBelowZero(text string) bool {
	number, found := strings.CutPrefix(text, "-")
	return found && strings.IndexAny(strings.TrimPrefix(number, "."), "0123456789") == 0
}

// IsBoolFromValue lets a flag of a boolean stand without a value.
func (r recorder) IsBoolFromValue(v reflect.Value) bool {
	switch inner := r.inner.(type) {
	case kong.BoolMapperExt:
		return inner.IsBoolFromValue(v)
	case kong.BoolMapper:
		return inner.IsBool()
	}
	return false
}

// IsBool makes IsBoolFromValue known to kong.
func (r recorder) IsBool() bool { return false }

// trimmed lets a list be written with spaces and a last comma.
func trimmed(list []string) []string {
	kept := list[:0]
	for _, entry := range list {
		if entry = strings.TrimSpace(entry); entry != "" {
			kept = append(kept, entry)
		}
	}
	return kept
}

// short writes a duration as people do: 5m, not 5m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
