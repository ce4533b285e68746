// Package runtime gives the bindings memory that neither moves nor is freed while a call has it.
package runtime

import (
	"runtime"
	"runtime/debug"
	"unsafe"
)

// What the host has put into our memory for a call that has not begun.
var arguments runtime.Pinner

// Allocate gives memory that stays until the pinner lets it go.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return unsafe.Pointer(align)
	}
	// No type of WIT wants more than 8, and so much the allocator gives to blocks of words.
	words := make([]uint64, (size+7)/8)
	pointer := unsafe.Pointer(unsafe.SliceData(words))
	pinner.Pin(pointer)
	return pointer
}

// While the host asks for memory the guest may call nothing of the host, and a garbage collection
// looks at the clock: there is none before the call itself has begun.
func init() { debug.SetGCPercent(-1) }

// Unpin says that a call has taken hold of its arguments.
func Unpin() {
	debug.SetGCPercent(100)
	arguments.Unpin()
}

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, newSize uint32) unsafe.Pointer {
	pointer := Allocate(&arguments, uintptr(newSize), uintptr(align))
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(pointer), newSize), unsafe.Slice((*byte)(old), oldSize))
	}
	return pointer
}
