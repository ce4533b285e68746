module wit_component

go 1.25

require go.bytecodealliance.org/pkg v0.4.0

// Not fetched: what the bindings use of it stands here.
replace go.bytecodealliance.org/pkg => ./pkg
