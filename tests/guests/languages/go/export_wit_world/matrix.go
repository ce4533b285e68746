// Package export_wit_world is what a tool in Go can do: one function for each row of
// docs/languages.md. Where it stands, and its name, are what the generated bindings want.
package export_wit_world

import (
	"crypto/rand"
	"fmt"
	"os"
	"time"

	. "wit_component/test_languages_types"

	. "go.bytecodealliance.org/pkg/wit/types"
)

func EchoText(value string) string { return value }

func EchoNumbers(value Numbers) Numbers { return value }

func EchoMood(value Mood) Mood { return value }

func EchoDays(value Days) Days { return value }

func EchoPlace(value Place) Place { return value }

func EchoPerson(value Person) Person { return value }

func EchoOption(value Option[string]) Option[string] { return value }

func EchoResult(value Result[uint32, string]) Result[uint32, string] { return value }

func EchoList(value []string) []string { return value }

func EchoBytes(value []uint8) []uint8 { return value }

func EchoTuple(value Tuple2[string, int32]) (string, int32) { return value.F0, value.F1 }

func Print(out string, err string) {
	fmt.Println(out)
	fmt.Fprintln(os.Stderr, err)
}

func ReadFile(path string) Result[string, string] {
	content, err := os.ReadFile(path)
	if err != nil {
		return Err[string, string](err.Error())
	}
	return Ok[string, string](string(content))
}

func WriteFile(path string, text string) Result[Unit, string] {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return Err[Unit, string](err.Error())
	}
	return Ok[Unit, string](Unit{})
}

func Variable(name string) Option[string] {
	value, found := os.LookupEnv(name)
	if !found {
		return None[string]()
	}
	return Some(value)
}

func Now() uint64 { return uint64(time.Now().UnixMilli()) }

func Random() []uint8 {
	bytes := make([]byte, 16)
	rand.Read(bytes) // never fails: it ends the program instead
	return bytes
}

func Sleep(milliseconds uint32) uint32 {
	began := time.Now()
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	return uint32(time.Since(began).Milliseconds())
}

func ExitWith(code uint8) { os.Exit(int(code)) }

func Fail() { panic("so it goes") }

func Spin() {
	for {
	}
}
