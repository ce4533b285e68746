// Package types has the types of WIT that Go lacks.
package types

const (
	OptionNone = iota
	OptionSome
)

const (
	ResultOk = iota
	ResultErr
)

type Unit struct{}

type Tuple2[A any, B any] struct {
	F0 A
	F1 B
}

type Option[T any] struct {
	tag   uint8
	value T
}

func None[T any]() Option[T]        { return Option[T]{} }
func Some[T any](value T) Option[T] { return Option[T]{OptionSome, value} }

func (option Option[T]) Tag() uint8 { return option.tag }
func (option Option[T]) Some() T    { return option.value }

type Result[T any, E any] struct {
	tag uint8
	ok  T
	err E
}

func Ok[T any, E any](value T) Result[T, E]  { return Result[T, E]{tag: ResultOk, ok: value} }
func Err[T any, E any](value E) Result[T, E] { return Result[T, E]{tag: ResultErr, err: value} }

func (result Result[T, E]) Tag() uint8 { return result.tag }
func (result Result[T, E]) Ok() T      { return result.ok }
func (result Result[T, E]) Err() E     { return result.err }
